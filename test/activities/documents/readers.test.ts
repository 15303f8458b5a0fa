import * as fc from 'fast-check';
import { type Block, lineAt } from '../../../src/activities/documents/document';
import { readHtml } from '../../../src/activities/documents/html';
import { readMarkdown } from '../../../src/activities/documents/markdown';
import { readPlainText } from '../../../src/activities/documents/plain-text';

const shapes = (blocks: readonly Block[]) => blocks.map(({ kind, text }) => `${kind}: ${text}`);
const firstLines = (blocks: readonly Block[]) => blocks.map((block) => block.starts[0]?.line);

describe('readMarkdown', () => {
  it('knows headings, paragraphs, lists, tables and code', () => {
    const blocks = readMarkdown(
      '# Title #\n\nOne line\ngoes on.\n\nUnder\n=====\n- item one\n  goes on\n2. [x] item two\n\n| a | b |\n|---|:-:|\n| 1 | 2 |\n\n```sh\nrun this\n```\n\n    indented\n',
    );
    expect(shapes(blocks)).toEqual([
      'heading: Title',
      'paragraph: One line goes on.',
      'heading: Under',
      'item: item one goes on',
      'item: item two',
      'label: a | b',
      'row: 1 | 2',
      'label: run this',
      'label: indented',
    ]);
    expect(firstLines(blocks)).toEqual([1, 3, 6, 8, 10, 12, 14, 17, 20]);
  });

  it('keeps the underscores of identifiers and the comparison in ">= 20"', () => {
    const [block] = readMarkdown('Set client_cert_path and _also_ `node_path` to Node >= 20 or __newer__.');
    expect(block?.text).toBe('Set client_cert_path and also `node_path` to Node >= 20 or newer.');
    expect(shapes(readMarkdown('Node must be\n>= 20 to start.'))).toEqual([
      'paragraph: Node must be >= 20 to start.',
    ]);
  });

  it('takes off links, images, emphasis, tags, footnotes and escapes', () => {
    const source =
      '![logo](a.png) See **the [run *book*](x.md "t")** and [ADR 7][adr], [home], <b>now</b>[^1] \\*fast\\*: <https://a.example>\n\n[home]: /x';
    expect(shapes(readMarkdown(source))).toEqual([
      'paragraph: See the run book and ADR 7, home, now *fast*: https://a.example',
    ]);
  });

  it.each([
    'a * b * c',
    '2 ** 3',
    'snake_case_name',
    'private_field_ and',
    '[not a link]',
    'x < y > z',
    'f(a)[0]',
    'Promise<string>',
    '*',
  ])('leaves %j alone', (text) => {
    expect(readMarkdown(`x ${text}`)[0]?.text).toBe(`x ${text}`);
  });

  it('reads the title of front matter and nothing else of it', () => {
    expect(shapes(readMarkdown('---\ntitle: "Database failover"\nowner: x\n---\nText.'))).toEqual([
      'heading: Database failover',
      'paragraph: Text.',
    ]);
  });

  it('drops comments, rules and alerts, and reads quotations', () => {
    expect(shapes(readMarkdown('<!-- a\nb -->\n***\n> [!NOTE]\n> Quoted\n> > text.\n'))).toEqual([
      'paragraph: Quoted text.',
    ]);
  });

  it('knows the line on which each word begins', () => {
    const [block] = readMarkdown('\n\nfirst **second\nthird** [fourth\nfifth](x) sixth');
    const at = (word: string) => lineAt(block?.starts ?? [], block?.text.indexOf(word) ?? -1);
    expect(['first', 'second', 'third', 'fourth', 'fifth', 'sixth'].map(at)).toEqual([3, 3, 4, 4, 5, 5]);
  });

  it.each([
    ['brackets', '['.repeat(250_000)],
    ['stars', '*a'.repeat(250_000)],
    ['underscores', '_a '.repeat(150_000)],
    ['backquotes', '` `` '.repeat(100_000)],
    ['open comments', '<!--'.repeat(125_000)],
    ['open tags', '<a '.repeat(150_000)],
    ['images', '![a]('.repeat(100_000)],
    ['quotations', '>'.repeat(500_000)],
    ['bars', '|'.repeat(500_000)],
    ['one line of words', 'word '.repeat(100_000)],
    ['nested lists', Array.from({ length: 2000 }, (_, depth) => `${' '.repeat(depth)}- a`).join('\n')],
  ])('takes 500 KB of %s in a few seconds', (_, text) => {
    const before = process.cpuUsage();
    readMarkdown(text);
    const { user } = process.cpuUsage(before);
    expect(user / 1e6).toBeLessThan(5);
  });
});

describe('readHtml', () => {
  it('reads text, headings, lists and tables, with entities, without scripts and styles', () => {
    const html =
      '<head><title>T</title><style>p{}</style></head>\n<nav>menu</nav><h2>H &amp; <i>K</i></h2>\n<p>One&nbsp;<b>two</b>\nthree.</p><script>var x="<p>no</p>"</script>\n<ul><li>first<li>second</ul><table><tr><th>a<th>b<tr><td>1<td>2</table><pre>code</pre>';
    expect(shapes(readHtml(html))).toEqual([
      'heading: T',
      'heading: H & K',
      'paragraph: One two three.',
      'item: first',
      'item: second',
      'label: a | b',
      'row: 1 | 2',
      'label: code',
    ]);
  });

  it('knows the line in the source', () => {
    const [, paragraph] = readHtml('<h1>a</h1>\n<!-- x\n -->\n<p>one\ntwo</p>');
    expect(paragraph?.starts.map((start) => start.line)).toEqual([4, 5]);
  });

  it.each([
    '<p>open',
    '</p></p>',
    '<<<>>>',
    '<script>never closed',
    '&#xZZ; &unknown;',
    '<div '.repeat(1000),
  ])('takes %j', (html) => {
    expect(() => readHtml(html)).not.toThrow();
  });

  it('takes 20,000 nested elements', () => {
    expect(shapes(readHtml(`${'<div>'.repeat(20_000)}deep${'</div>'.repeat(20_000)}`))).toEqual([
      'paragraph: deep',
    ]);
  });
});

describe('readPlainText', () => {
  it('knows headings, paragraphs and lists', () => {
    const text =
      'RETENTION POLICY\n\nText over\ntwo lines.\n\n1. Passenger data\n\n- one\n- two\n\nTitle\n-----\nMore.';
    expect(shapes(readPlainText(text))).toEqual([
      'heading: RETENTION POLICY',
      'paragraph: Text over two lines.',
      'heading: 1. Passenger data',
      'item: one',
      'item: two',
      'heading: Title',
      'paragraph: More.',
    ]);
  });
});

describe.each([
  ['Markdown', readMarkdown],
  ['HTML', readHtml],
  ['plain text', readPlainText],
])('the reader of %s', (_, read) => {
  it('takes any text, and its lines lie in the file and ascend', () => {
    const piece = fc.constantFrom(
      '# ',
      '- ',
      '| ',
      '|-|',
      '```',
      '<p>',
      '</p>',
      '<!--',
      '-->',
      '[',
      '](',
      ')',
      '`',
      '*',
      '_',
      '> ',
      'word ',
      '\n',
      '\n\n',
      '&lt;',
      '---',
      '=',
      '\u{1F6A2}',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const text = pieces.join('');
        const lines = text.split('\n').length;
        for (const block of read(text)) {
          expect(block.text).not.toBe('');
          expect(block.starts[0]?.offset).toBe(0);
          const numbers = block.starts.map((start) => start.line);
          expect(numbers).toEqual([...numbers].sort((left, right) => left - right));
          expect(numbers.every((line) => line >= 1 && line <= lines)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});
