// One worker of Restate: an HTTP/2 endpoint. It shares its port with the other workers, by Node's cluster module.
const { createServer } = require('node:http2');
const { createEndpointHandler } = require('@restatedev/restate-sdk');
const { services } = require('./services');

createServer(createEndpointHandler({ services })).listen(Number(process.argv[2]), '127.0.0.1');
