/** `cadre/testing`: test an agent alone, or a whole team in a server whose clock skips waits. */
export { type CallOptions, type CallResult, callAgent, compensateAgent } from './call-agent';
export { MemoryLedger } from '../storage/memory-ledger';
export { TestCadre, type TestCadreOptions } from './test-cadre';
