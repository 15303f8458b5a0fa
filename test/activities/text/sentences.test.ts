import * as fc from 'fast-check';
import { sentences } from '../../../src/activities/text/sentences';

const texts = (text: string): string[] => sentences(text).map((sentence) => sentence.text);

describe('sentences', () => {
  it.each([
    ['Use Node.js v20.3.0 or newer. Older ones fail.', ['Use Node.js v20.3.0 or newer.', 'Older ones fail.']],
    [
      'Ask a colleague, e.g. Dr. Smith or Mr. Jones. Then wait.',
      ['Ask a colleague, e.g. Dr. Smith or Mr. Jones.', 'Then wait.'],
    ],
    [
      'It takes approx. 30 minutes, i.e. half an hour. Done.',
      ['It takes approx. 30 minutes, i.e. half an hour.', 'Done.'],
    ],
    ['Run `a. B` first. Then stop.', ['Run `a. B` first.', 'Then stop.']],
    ['Is it down? Page somebody! Now.', ['Is it down?', 'Page somebody!', 'Now.']],
    ['障害が発生した。担当者に連絡する。', ['障害が発生した。', '担当者に連絡する。']],
    ['The limit is 1.5 MB. It is fixed.', ['The limit is 1.5 MB.', 'It is fixed.']],
  ])('splits %j', (text, expected) => {
    expect(texts(text)).toEqual(expected);
  });

  it('finds nothing in nothing', () => {
    expect(sentences('')).toEqual([]);
    expect(sentences('   ')).toEqual([]);
  });

  it('returns parts of the text, in order, each where it says', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom('One is. ', 'e.g. two ', 'a `b. C` ', 'Why? ', '3. ', 'x.y ', '界。', '\u00a0'),
          { maxLength: 30 },
        ),
        (parts) => {
          const text = parts.join('');
          let end = 0;
          for (const sentence of sentences(text)) {
            expect(text.slice(sentence.offset, sentence.offset + sentence.text.length)).toBe(sentence.text);
            expect(sentence.offset).toBeGreaterThanOrEqual(end);
            end = sentence.offset + sentence.text.length;
          }
          expect(text.slice(end).trim()).toBe('');
        },
      ),
    );
  });

  it('takes a single line of 500 KB', () => {
    expect(sentences('word '.repeat(100_000)).length).toBe(1);
    expect(sentences('Stop it now. '.repeat(40_000)).length).toBeGreaterThanOrEqual(39_000);
  });
});
