import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { FAILURES } from '../../src/core/failures';

const ROOT = join(__dirname, '..', '..');
const pages = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];
const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

/** A heading's anchor, as GitHub makes it. */
const anchors = (page: string): Set<string> =>
  new Set(
    [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replace(/ /g, '-'),
    ),
  );

test.each(Object.entries(FAILURES))('docs/design.md lists the failure %s with its fix', (type, { fix }) => {
  const row = read('docs/design.md')
    .split('\n')
    .find((line) => line.startsWith(`| \`${type}\``));
  expect(row).toContain(fix.replace(/\|/g, '\\|'));
});

test.each(pages)('the links of %s lead somewhere', (page) => {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  const broken = links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path);
    if (!existsSync(target)) return true;
    return anchor !== undefined && target.endsWith('.md') && !anchors(relative(ROOT, target)).has(anchor);
  });
  expect(broken).toEqual([]);
});
