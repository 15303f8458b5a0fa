import { writeFileSync } from 'node:fs';
jest.setTimeout(60000);
test('one', () => {
  // eslint-disable-next-line
  const { Simulation } = require('./outbox-simulation.test');
  const s = new Simulation(Number(process.env['SEED'])).run();
  writeFileSync('/tmp/trace.txt', `${s.wrong}\n${JSON.stringify(s.plan)}\n${s.cadre.trace}`);
});
