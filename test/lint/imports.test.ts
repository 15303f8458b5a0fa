// Plants a forbidden import in each layer and sees the linter refuse it: the direction of imports is held by a check.
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..', '..');
const planted = (layer: string) => join(root, 'src', layer, 'planted-import.ts');
const LAYERS = [
  'core',
  'core/breaker',
  'workflows',
  'storage',
  'knowledge',
  'activities',
  'models',
  'client',
  'workers',
  'workers/server',
  'testing',
] as const;

afterEach(() => LAYERS.forEach((layer) => rmSync(planted(layer), { force: true })));

function lint(layer: string, specifier: string): string {
  writeFileSync(
    planted(layer),
    `import { something } from '${specifier}';\nexport const used = something;\n`,
  );
  const oxlint = join(root, 'node_modules', '.bin', 'oxlint');
  const { stdout } = spawnSync(oxlint, ['-f', 'unix', planted(layer)], { cwd: root, encoding: 'utf8' });
  return stdout;
}

test.each([
  ['core', '../workflows/task'],
  ['core', '../client/connection'],
  ['core', '../models/prices'],
  ['core', '../index'],
  ['core', '../client'],
  ['core', '../testing'],
  ['core/breaker', '../../workflows/task'],
  ['core/breaker', '../../client'],
  ['core', 'node:fs'],
  ['core', '@temporalio/workflow'],
  ['workflows', '../activities/attempt'],
  ['workflows', '../storage/folders'],
  ['workflows', 'node:crypto'],
  ['workflows', '@temporalio/activity'],
  ['storage', '../activities/attempt'],
  ['knowledge', '../client/agents'],
  ['knowledge', 'node:crypto'],
  ['knowledge', '@temporalio/common'],
  ['activities', '../workers/config'],
  ['activities', '../client/connection'],
  ['activities', '../workflows/messages'],
  ['activities', '../models/prices'],
  ['activities', '../client'],
  ['activities', '../workers'],
  ['models', '../workers/config'],
  ['models', '../client'],
  ['models', '../testing'],
  ['models', '../cli'],
  ['client', '../activities/attempt'],
  ['client', '../workflows/task'],
  ['client', '../models/prices'],
  ['client', '../workers'],
  ['client', '../workflows'],
  ['client', '../testing'],
  ['client', '@temporalio/worker'],
  ['workers', '../cli/output'],
  ['workers', '../workflows/task'],
  ['workers', '../cli'],
  ['workers', '../testing'],
  ['workers', '../workflows'],
  ['workers/server', '../../workflows/task'],
  ['workers/server', '../../cli'],
  ['testing', '../cli/output'],
  ['testing', '../cli'],
])('%s may not import %s', (layer, specifier) => {
  expect(lint(layer, specifier)).toContain('no-restricted-imports');
});

test.each([
  ['core', './names'],
  ['core/breaker', '../names'],
  ['core', '@temporalio/common'],
  ['workflows', '../core/names'],
  ['activities', '../storage/folders'],
  ['models', '../activities/validate'],
  ['models', '@modelcontextprotocol/client'],
  ['client', '../workflows/messages'],
  ['workers', '../client/connection'],
  ['workers', '../client'],
  ['workers/server', '../../client/connection'],
])('%s may import %s', (layer, specifier) => {
  expect(lint(layer, specifier)).not.toContain('no-restricted-imports');
});
