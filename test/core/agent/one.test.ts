import { writeFileSync } from 'node:fs';
jest.setTimeout(60000);
test('one', () => {
  // eslint-disable-next-line
  const { Simulation } = require('./outbox-simulation.test');
  const s = new Simulation(Number(process.env['SEED'])).run();
  writeFileSync('/tmp/trace.txt', `${s.wrong}\n${JSON.stringify(s.plan)}\n${s.cadre.trace}`);
  for (const a of s.cadre.running.values())
    console.log(
      a.member,
      a.state.left,
      [...a.state.replica.entries({ type: 'lwwMap', name: '@members' }).keys()],
      JSON.stringify(a.begun.outbox.toJSON()).slice(0, 300),
      JSON.stringify([...a.begun.outbox.seenBy]),
      JSON.stringify([...a.state.replica.context]),
    );
});
