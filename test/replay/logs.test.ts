// What the log says of every recorded history: a change of what is read of one shows here.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { defaultDataConverter } from '@temporalio/common';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow';
import { factsOfJson } from '../../src/client/history-decoder';
import { AgentProjection } from '../../src/core/agent/agent-projection';
import { BreakerProjection } from '../../src/core/breaker/breaker-projection';
import { ElectionProjection } from '../../src/core/election-projection';
import type { HistoryFact } from '../../src/core/history-facts';
import { TaskProjection } from '../../src/core/task-projection';

const FOLDER = join(__dirname, 'histories');
const files = readdirSync(FOLDER).filter((file) => file.endsWith('.json'));

test.each(files)('the log of %s is as it was', async (file) => {
  expect(linesOf(file, await factsIn(file))).toMatchSnapshot();
});

async function factsIn(file: string): Promise<HistoryFact[]> {
  const { events } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as { events: unknown[] };
  const converter = loadDataConverter(defaultDataConverter);
  const run = { workflowId: file.replace(/(-\d+)?\.json$/, ''), runId: 'run' };
  const facts: HistoryFact[] = [];
  for (const event of events) facts.push(...(await factsOfJson(converter, event, run)));
  return facts;
}

function linesOf(file: string, facts: readonly HistoryFact[]): string[] {
  if (file.startsWith('agent')) return agentLines(facts);
  if (file.startsWith('election')) return electionLines(facts);
  if (file.startsWith('breaker')) return breakerLines(facts);
  if (file === 'budget.json' || file === 'budget-resumed.json') return accountLines(facts);
  const projection = new TaskProjection();
  return facts.flatMap((fact) =>
    projection.next(fact).map((event) => {
      const { number, actor, cause = '-', eventId, type } = event;
      const of = 'step' in event ? ` ${typeof event.step === 'string' ? event.step : event.step.id}` : '';
      return `${number} #${eventId} ${actor}: ${type}${of} after ${cause}`;
    }),
  );
}

function agentLines(facts: readonly HistoryFact[]): string[] {
  const projection = new AgentProjection();
  const lines = facts.flatMap((fact) =>
    projection
      .next(fact)
      .map((event) => `#${fact.eventId} ${event.type}${'read' in event ? ` ${event.read.kind}` : ''}`),
  );
  const { state } = projection;
  return [...lines, `decided ${state?.decided}, remembered ${state?.remembered}, refused ${state?.refused}`];
}

function electionLines(facts: readonly HistoryFact[]): string[] {
  const projection = new ElectionProjection();
  return facts.flatMap((fact) => {
    const event = projection.next(fact);
    return event === undefined ? [] : [`#${fact.eventId} ${event.type}, term ${projection.state.term}`];
  });
}

/** What an account answered. */
function accountLines(facts: readonly HistoryFact[]): string[] {
  return facts.flatMap((fact) =>
    fact.kind === 'updateCompleted' ? [`#${fact.eventId} ${JSON.stringify(fact.result)}`] : [],
  );
}

function breakerLines(facts: readonly HistoryFact[]): string[] {
  const projection = new BreakerProjection();
  return facts.map((fact) => {
    projection.next(fact);
    return `#${fact.eventId} ${projection.keyed?.state.phase.kind}`;
  });
}
