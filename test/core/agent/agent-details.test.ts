// What the Web UI shows of an agent.
import { agentDetails } from '../../../src/core/agent/agent-details';
import { evolveAgent, newAgent, rememberedEvent } from '../../../src/core/agent/agent-state';
import { MESSAGE_VERSION } from '../../../src/core/agent/agent-messages';

const AT = Date.UTC(2026, 0, 31, 12);

test('before it is told anything, it says so in two lines', () => {
  const joined = evolveAgent(newAgent('cadre', 'ada', 'ada:1'), { type: 'joined', at: AT }).state;
  expect(agentDetails(joined)).toBe(
    '**ada** gossips with nobody yet\n\ntasks remembered: 0; decisions: 0\n\n\u00a0',
  );
});

test('the last decisions and what it knows are tables, in which nothing an agent said is Markdown', () => {
  const decisions = Array.from({ length: 7 }, (_none, index) => {
    return { type: 'noted', rationale: `a|b\n${index}`, task: 'a_task', step: 's' };
  });
  const operations = [{ type: 'gSet', name: 'a|set', add: 'x' } as const];
  const message = { version: MESSAGE_VERSION, id: 'one', task: 'a_task', decisions, operations };
  const { state } = evolveAgent(newAgent('cadre', 'ada', 'ada:1'), rememberedEvent(message, AT));
  const lines = agentDetails(state).split('\n');
  expect(lines[2]).toBe('tasks remembered: 1, the last at 2026-01-31 12:00:00 UTC; decisions: 7');
  expect(lines.slice(4, 7)).toEqual([
    '| decided | what | why | task |',
    '|---|---|---|---|',
    String.raw`| 2026-01-31 12:00:00 UTC | noted | a\|b 6 | a\_task |`,
  ]);
  expect(lines.filter((line) => line.includes('noted'))).toHaveLength(5);
  expect(lines).toContain(String.raw`| a\|set | gSet | 1 |`);
});
