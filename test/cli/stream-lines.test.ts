import { Output } from '../../src/cli/output';
import { StreamLines } from '../../src/cli/stream-lines';
import type { StreamedText } from '../../src/client/task-stream';
import type { LoggedTaskEvent } from '../../src/core/task-projection';

let written: string[];
let lines: StreamLines;
beforeEach(() => {
  written = [];
  const output = new Output(false);
  jest.spyOn(output, 'line').mockImplementation((text) => void written.push(text ?? ''));
  lines = new StreamLines(output);
});

let now = 0;
function streams(text: string, more: Partial<StreamedText> = {}): boolean {
  return lines.write({ step: 'write', agent: 'writer', attempt: 1, text, time: (now += 1), ...more });
}

function happens(event: object): void {
  lines.end({ number: 1, time: (now += 1), ...event } as unknown as LoggedTaskEvent);
}

/** What stands after the step. */
const texts = (): string[] => written.map((line) => line.slice(line.indexOf('│') + 2));

test('lines are written when they are whole, behind the step they are of', () => {
  streams('Good ');
  expect(written).toEqual([]);
  streams('day.\nAnd ');
  streams('more.\n\n', { step: 'check' });
  expect(written).toEqual(['        write         │ Good day.', '        check         │ more.']);
});

test('what is left of a line is written before the event that ends its step', () => {
  streams('Good ');
  streams('day', { step: 'check' });
  happens({ type: 'stepCompleted', step: 'write' });
  expect(texts()).toEqual(['Good']);
  happens({ type: 'taskCompleted' });
  expect(texts()).toEqual(['Good']);
});

test('what is heard of a step after its end is not written', () => {
  const before = (now += 1);
  happens({ type: 'stepCompleted', step: 'write' });
  expect(streams('too late\n', { time: before })).toBe(false);
  expect(streams('again\n')).toBe(true);
  expect(texts()).toEqual(['again']);
});

test('the plan, and what voters say, end with their events', () => {
  streams('a plan', { step: 'plan' });
  happens({ type: 'planned' });
  streams('yes', { step: 'vote/1' });
  happens({ type: 'ballotCast', step: 'vote' });
  expect(texts()).toEqual(['a plan', 'yes']);
});

test('a long line is broken at a blank, or where there is none at 100 characters', () => {
  streams(`${'word '.repeat(30)}\n${'x'.repeat(150)}`);
  happens({ type: 'stepCompleted', step: 'write' });
  expect(texts()).toEqual([
    'word '.repeat(20).trim(),
    'word '.repeat(10).trim(),
    'x'.repeat(100),
    'x'.repeat(50),
  ]);
});

test('what was missed is a mark, and another attempt begins a line', () => {
  streams('Good ');
  streams('day', { skipped: 7 });
  streams('Yes\n', { attempt: 2 });
  expect(texts()).toEqual(['Good … day', 'Yes']);
});

test('nothing of it is a command to a terminal', () => {
  streams('a\u001b[2J\u0007b\r\u001b[31mc\n');
  expect(texts()).toEqual(['a [2J b [31mc']);
});
