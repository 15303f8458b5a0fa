// The world outside: it keeps a ledger of what was done to it, and does everything as often as it is asked to. So what is
// in it once was asked for once, or looked up before it was asked for again.
const { createServer } = require('node:http');

/** How long the model takes, in ms: long enough for others to ask while it is probed. */
const THINKING = 1000;

/** Starts it on a free port of 127.0.0.1. */
async function startWorld() {
  const world = new World();
  const server = createServer((request, response) => {
    void world
      .answer(request)
      .catch((error) => [400, { error: error.message }])
      .then(([status, body]) => response.writeHead(status).end(text(body)));
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  world.url = `http://127.0.0.1:${server.address().port}`;
  world.close = () => new Promise((resolve) => server.close(resolve).closeAllConnections());
  return world;
}

class World {
  /** What was done, in order. `worker` is the id of the process that asked. */
  ledger = { effects: [], undone: [], desk: [], model: [] };
  /** While it is, the world does what it is asked for, and answers when it is released. */
  held = new Gate();
  modelIsDown = true;
  pressIsBroken = true;

  async answer(request) {
    const { pathname, searchParams } = new URL(request.url, 'http://world');
    const { ledger } = this;
    if (request.method === 'GET') return [200, this.find(searchParams.get('key'))];
    const asked = JSON.parse(await textOf(request));
    switch (pathname) {
      case '/effects':
        if (asked.what.startsWith('press') && this.pressIsBroken) return [410, 'the press is broken'];
        ledger.effects.push(asked);
        await this.held.opened;
        return [201, { what: asked.what }];
      case '/undone':
        ledger.undone.push(asked);
        return [201, {}];
      case '/desk':
        ledger.desk.push(asked);
        await this.held.opened;
        return [200, { agent: 'reporter', reason: 'the desk says that reporters know it too' }];
      case '/model':
        ledger.model.push({ ...asked, at: Date.now(), failed: this.modelIsDown });
        if (this.modelIsDown) return [503, 'the model is down'];
        await new Promise((resolve) => setTimeout(resolve, THINKING));
        return [200, { verdict: 'right' }];
      default:
        return [404, `no ${pathname}`];
    }
  }

  find(key) {
    const under = (list) => list.filter((one) => one.key === key).length;
    return { count: under(this.ledger.effects), undone: under(this.ledger.undone) };
  }
}

/** Closed until it is opened, for good. */
class Gate {
  opened = new Promise((resolve) => (this.open = resolve));
}

async function textOf(request) {
  let all = '';
  for await (const chunk of request.setEncoding('utf8')) all += chunk;
  return all;
}

function text(body) {
  return typeof body === 'string' ? body : JSON.stringify(body);
}

module.exports = { startWorld };
