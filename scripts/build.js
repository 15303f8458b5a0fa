/** `npm run build`: compiles and bundles, whether or not anything changed. */
const { build, exitOnFailure, installDependencies } = require('./prepare');

exitOnFailure(installDependencies().then(() => build({ force: true })));
