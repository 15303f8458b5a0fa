import { ConceptCounter } from '../../../src/activities/text/concept-counter';
import { parseQuestion } from '../../../src/activities/text/question';

const partsOf = (text: string): string[] => parseQuestion(text).parts.map((part) => part.text);

describe('parseQuestion', () => {
  it.each([
    [
      'When do we fail over, who approves it, and how often is it tested?',
      ['When do we fail over', 'who approves it', 'how often is it tested'],
    ],
    ['How are secrets stored and who rotates them?', ['How are secrets stored', 'who rotates them']],
    ['What is the limit? Who set it?', ['What is the limit', 'Who set it']],
    ['Summarise bread and butter policies', ['Summarise bread and butter policies']],
  ])('splits %j', (text, expected) => {
    expect(partsOf(text)).toEqual(expected);
  });

  it('knows which parts make no sense alone', () => {
    const { parts } = parseQuestion(
      'When do we fail over the database, who approves it, and what is the hotel limit?',
    );
    expect(parts.map((part) => part.leansOnOthers)).toEqual([false, true, false]);
  });

  it('gives little weight to who acts, full weight to what is asked', () => {
    const { concepts } = parseQuestion('When should the on-call engineer restart the queue?');
    expect(concepts.map(({ label, weight }) => [label, weight < 1])).toEqual([
      ['call', true],
      ['engineer', true],
      ['restart', false],
      ['queue', false],
    ]);
  });

  it('finds two words that a source writes as one, and the other way round', () => {
    const count = (question: string, text: string): number[] => {
      return new ConceptCounter(parseQuestion(question).concepts).count(text).counts;
    };
    expect(count('When to fail over?', 'The failover begins. We fail-over now.')[0]).toBe(3);
    expect(count('When is a failover due?', 'We fail over, then fail-over again.')[0]).toBe(2);
    expect(count('Which on-call rota?', 'The oncall rota. The on-call phone.')[0]).toBe(2);
  });

  it('has no part where nothing is asked', () => {
    expect(parseQuestion('What is it?').parts).toEqual([]);
    expect(parseQuestion('???').parts).toEqual([]);
  });

  it('takes 8 KB of text', () => {
    const question = parseQuestion('why do words and how do sentences '.repeat(250));
    expect(question.parts.length).toBeLessThanOrEqual(6);
  });
});
