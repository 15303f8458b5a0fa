// Whether replicas agree after a run, with a cadre that is made up.
import type { KnowledgeCheck } from '../../src/client/agent-standing';
import type { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import { type Agreement, agreementAfter } from '../../src/cli/agreement';
import type { Session } from '../../src/cli/session';
import { memberOf, replicaIndex } from '../../src/core/agent/members';

const AGREED: KnowledgeCheck = {
  agree: true,
  replicas: [{ member: 'scout', versionVector: {}, lacks: {}, differs: false, busy: false }],
};
const CRDTS = [{ type: 'gCounter', name: 'sources', value: 3, entries: [] }] as const;

/** What is found after a task that told `told`, of a cadre that answers `check`. */
function after(
  told: readonly string[],
  check: CadreClient['checkKnowledge'],
  signal = new AbortController().signal,
): Promise<Agreement | undefined> {
  const task = {
    async *events() {
      yield { type: 'taskStarted', root: 'one/a-run' };
      if (told.length > 0) yield { type: 'remembered', agents: told };
    },
  } as unknown as TaskHandle;
  const session = {
    client: { checkKnowledge: check, knowledge: async () => ({ crdts: CRDTS }) },
    config: { agents: [{ name: 'scout', replicas: 50 }] },
  } as unknown as Session;
  return agreementAfter(task, session, signal);
}

test('the replicas that the task has told are looked at though the server does not list them yet', async () => {
  const asked: unknown[] = [];
  const found = await after(['scout', 'judge'], async (options) => {
    asked.push(options);
    return AGREED;
  });
  expect(asked).toEqual([{ members: [memberOf('scout', replicaIndex('one/a-run', 50)), 'judge'] }]);
  expect(found).toMatchObject({ ...AGREED, crdts: CRDTS });
});

test('it looks again until they agree', async () => {
  let looks = 0;
  const found = await after(['scout'], async () => ({ ...AGREED, agree: (looks += 1) === 3 }));
  expect([looks, found?.agree]).toEqual([3, true]);
});

test('Ctrl-C ends the wait with what was found', async () => {
  const controller = new AbortController();
  const found = await after(
    ['scout'],
    async () => {
      setImmediate(() => controller.abort());
      return { ...AGREED, agree: false };
    },
    controller.signal,
  );
  expect(found).toMatchObject({ agree: false, crdts: [] });
});

test.each<[string, readonly string[], CadreClient['checkKnowledge']]>([
  ['where the task told nobody', [], async () => AGREED],
  ['where nobody answers', ['scout'], () => Promise.reject(new Error('no worker'))],
  ['where nobody is there any more', ['scout'], async () => ({ agree: true, replicas: [] })],
])('nothing is said %s', async (_when, told, check) => {
  expect(await after(told, check)).toBeUndefined();
});
