import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import MiniSearch from 'minisearch';
import { readFileSync, readdirSync } from 'node:fs';
import { removeTemporaryFolders, temporaryFolder } from '../documents/temporary-folder';
import { answer } from './answer';
import { standsInSource } from './stands-in-source';

// Pure: no threads, no server. What the agents make of folders that are not as tidy as the handbook.

afterAll(removeTemporaryFolders);

describe('a report', () => {
  it('prefers the passage that answers to a short one that only names the words', async () => {
    const docs = temporaryFolder({
      'about.md': '# Node\n\nNode is a runtime. We like this version of it. It is fast.',
      'install.md':
        '# Installation\n\n## Requirements\n\nThe command line tool is written in TypeScript and needs no compiler on your machine. The required Node version is Node.js 20.19 or newer, because older versions cannot load modules the way we do. On Windows, use the installer from the web site and restart the terminal afterwards.',
      'other.md':
        '# Contributing\n\nOpen an issue first. Tests are run with every version that is supported.',
    });
    const { cited } = await answer('Which Node version is required?', docs);
    expect(cited[0]).toMatchObject({
      file: 'install.md',
      text: expect.stringContaining('Node.js 20.19') as string,
    });
  });

  it('keeps client_cert_path and ">= 20" in what it quotes', async () => {
    const docs = temporaryFolder({
      'a.md': '# Certificates\n\nThe path of the certificate is `x` or client_cert_path, from Node >= 20 on.',
    });
    const { report } = await answer('Which path does the certificate have?', docs);
    expect(report).toContain('client_cert_path, from Node >= 20 on.');
  });

  it('never quotes an introduction that ends in a colon', async () => {
    const docs = temporaryFolder({
      'a.md':
        '# Backups\n\nBackups are stored in these places:\n\n- Backups are stored in Frankfurt.\n- The backups are:\n',
    });
    const { cited } = await answer('Where are backups stored?', docs);
    expect(cited.map((quote) => quote.text)).toEqual(['Backups are stored in Frankfurt.']);
  });

  it('shows quoted markup as text, and any file name as one piece', async () => {
    const docs = temporaryFolder({
      'plan [v2] (final).txt': 'Backups use <script>alert(1)</script> and *stars* every night.',
      '備份 `計劃`\n二.txt': 'The backups of the plan are kept in the <b>vault</b> for years.',
    });
    const { report } = await answer('How are backups kept every night?', docs);
    expect(report).toContain('\\<script>');
    expect(report).toContain('`plan [v2] (final).txt#L1`');
    expect(report).not.toMatch(/[^\\]<(?:b|script)>/);
    expect(report.split('\n').filter((line) => line.startsWith('二'))).toEqual([]);
  });

  it('answers in other scripts', async () => {
    const docs = temporaryFolder({
      '手順.md':
        '# データベース\n\nデータベースの切り替えには当番責任者の承認が必要です。昼食は十二時に始まります。',
      'резерв.md':
        '# Резервные копии\n\nРезервные копии базы данных хранятся тридцать дней. Обед начинается в полдень.',
      'other.md': '# Lunch\n\nLunch is served at noon in the canteen.',
    });
    const japanese = await answer('データベースの切り替えの承認', docs);
    expect(japanese.cited[0]).toEqual({
      text: 'データベースの切り替えには当番責任者の承認が必要です。',
      file: '手順.md',
      line: 3,
    });
    const russian = await answer('Сколько хранятся резервные копии?', docs);
    expect(russian.cited[0]).toMatchObject({
      file: 'резерв.md',
      text: 'Резервные копии базы данных хранятся тридцать дней.',
    });
  });

  it('says what it could not read, and counts other formats', async () => {
    const docs = temporaryFolder({
      'good.md': 'Backups are kept for thirty days by us.',
      'binary.md': Buffer.from([1, 0, 2, 0, 3]),
      'empty.md': '',
      'heading.md': '# Only a heading',
      'old.txt': Buffer.from(
        'Backups of the caf\xe9 are written on tape. The tapes of the backups are kept for years.',
        'latin1',
      ),
      'a.odt': 'x',
      'b.ODT': 'x',
      'c.xlsx': 'x',
    });
    symlinkSync('/etc/hostname', join(docs, 'out.md'));
    const { report } = await answer('How long are backups kept?', docs);
    expect(report.slice(report.indexOf('## Notes'), report.indexOf('## Sources')).trim().split('\n')).toEqual(
      [
        '## Notes',
        '',
        '- `binary.md`: is not text',
        '- `empty.md`: is empty',
        '- `heading.md`: holds no sentence that can be cited',
        '- `old.txt`: 1 character not valid UTF-8; sentences with them are left out',
        '- `out.md`: is a link that leads out of the folder',
        '- Not a supported format yet: `2 .odt, 1 .xlsx`',
      ],
    );
  });

  it.each([
    'What is it?',
    '???',
    'the and of',
    'constructor __proto__ toString',
    '<script>',
    'a'.repeat(8000),
    '🚢',
  ])('takes the question %j', async (question) => {
    const docs = temporaryFolder({ 'a.md': 'The ferry leaves at nine from the old port.' });
    expect((await answer(question, docs)).report).toMatch(/^# /);
  });

  it('takes a single line of 500 KB', async () => {
    const docs = temporaryFolder({
      'a.md': 'The ferry leaves the port at nine in the morning. '.repeat(10_000),
    });
    const { cited } = await answer('When does the ferry leave?', docs);
    expect(cited.every((quote) => quote.line === 1)).toBe(true);
    expect(cited.length).toBeGreaterThan(0);
  });
});

describe('reports on random folders', () => {
  const noun = fc.constantFrom(
    'probe',
    'backup',
    'ferry',
    '**deploy**',
    '`client_cert_path`',
    '[owner](x.md)',
    '_port_',
    'Node.js',
    'snake_case',
    '>= 20',
    'ship\u2019s',
  );
  const verb = fc.constantFrom(
    'waits for',
    'needs',
    'must not stop',
    'is kept 30 days by',
    'is kept 40 days by',
    'approves',
  );
  const gap = fc.constantFrom(' ', '\n', ' *never* ');
  const sentence = fc
    .tuple(noun, gap, verb, gap, noun, fc.constantFrom('.', '!', '?', ':', ''))
    .map((parts) => `The ${parts.slice(0, 2).join('')}${parts[2]}${parts[3]}the ${parts[4]}${parts[5]}`);
  const flat = sentence.map((text) => text.replace(/\n/g, ' '));
  const block = fc.oneof(
    fc.array(sentence, { minLength: 1, maxLength: 4 }).map((all) => all.join(' ')),
    flat.map((text) => `## ${text}`),
    fc.array(flat, { minLength: 1, maxLength: 3 }).map((all) => all.map((text) => `- ${text}`).join('\n')),
    flat.map((text) => `> ${text}\n> and more of the same.`),
    flat.map((text) => `| a | b |\n|---|---|\n| ${text} | 2 |`),
    flat.map((text) => `\`\`\`\n${text}\n\`\`\``),
  );
  const file = fc
    .tuple(fc.array(block, { maxLength: 6 }), fc.constantFrom('\n', '\r\n'))
    .map(([blocks, end]) => blocks.join('\n\n').replace(/\n/g, end));
  const folder = fc.array(file, { minLength: 1, maxLength: 4 });

  it('quote every sentence from the line it cites, however the folder is divided', async () => {
    await fc.assert(
      fc.asyncProperty(
        folder,
        fc.constantFrom('How long is the backup kept, and who approves it?', 'What does the ferry need?'),
        async (files, question) => {
          const docs = temporaryFolder(
            Object.fromEntries(files.map((content, index) => [`${index}.md`, content])),
          );
          const one = await answer(question, docs, 1);
          expect(one.cited.filter((quote) => !standsInSource(docs, quote))).toEqual([]);
          expect((await answer(question, docs, files.length)).report).toBe(one.report);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('the ranking of passages', () => {
  it('finds the file that minisearch finds, on questions of one part', async () => {
    const folder = join(__dirname, '../../../examples/handbook');
    const index = new MiniSearch<{ id: string; text: string }>({ fields: ['id', 'text'] });
    index.addAll(readdirSync(folder).map((id) => ({ id, text: readFileSync(join(folder, id), 'utf8') })));
    for (const question of [
      'laptop stolen',
      'hotel price london',
      'passport numbers',
      'status page update',
      'probation notice period',
    ]) {
      const { cited } = await answer(question, folder);
      expect([question, cited[0]?.file]).toEqual([question, index.search(question)[0]?.id]);
    }
  });
});
