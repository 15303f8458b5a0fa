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
  ['core/breaker', '../../workflows/task'],
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
  ['models', '../workers/config'],
  ['client', '../activities/attempt'],
  ['client', '../workflows/task'],
  ['client', '../models/prices'],
  ['client', '@temporalio/worker'],
  ['workers', '../cli/output'],
  ['workers', '../workflows/task'],
  ['testing', '../cli/output'],
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
  ['client', '../workflows/messages'],
  ['workers', '../client/connection'],
])('%s may import %s', (layer, specifier) => {
  expect(lint(layer, specifier)).not.toContain('no-restricted-imports');
});
