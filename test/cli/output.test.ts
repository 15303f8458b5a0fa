import { Output } from '../../src/cli/output';

/** What a line writes to standard output. */
function written(text: string): string {
  let all = '';
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    all += String(chunk);
    return true;
  });
  try {
    new Output(false).line(text);
  } finally {
    write.mockRestore();
  }
  return all;
}

test.each([
  ['clears the screen', 'May I?\u001b[2J\u001b[1;1HYes', 'May I?[2J[1;1HYes'],
  ['goes back over what stands there', 'May I delete it?\rMay I keep it?', 'May I delete it?May I keep it?'],
  ['begins with the one character for it', '\u009b2Jhello', '2Jhello'],
  ['sets the title', '\u001b]0;title\u0007hello', ']0;titlehello'],
])('text of others that %s does not', (_what, text, shown) => {
  expect(written(text)).toBe(`${shown}\n`);
});

test.each(['two\nlines\tand a tab', '\u001b[31mred\u001b[39m', 'Grüße 語 😀'])(
  '%j is written as it is',
  (text) => {
    expect(written(text)).toBe(`${text}\n`);
  },
);
