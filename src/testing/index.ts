/** `cadre/testing`: test an agent alone, or a whole team in a server whose clock skips waits. */
export { type CallOptions, type CallResult, callAgent } from './call-agent';
export { TestCadre, type TestCadreOptions } from './test-cadre';
