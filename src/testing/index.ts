/** `cadre/testing`: test an agent alone, or a whole team in a server whose clock skips waits. */
export { type CallOptions, type CallResult, callAgent, compensateAgent } from './call-agent';
export { Cassette, type CassetteMiss, type CassetteMode, type CassetteOptions } from './cassette';
export { MemoryLedger } from '../storage/memory-ledger';
export {
  type Cut,
  type Script,
  type ScriptedAnswer,
  type ScriptedCall,
  type ScriptedMessage,
  ScriptedModel,
  type ScriptedModelOptions,
  type ScriptedReply,
  type ScriptedRequest,
  type ScriptedToolCall,
  type ScriptedUsage,
  type WireFormat,
} from './scripted-model';
export { TestCadre, type TestCadreOptions } from './test-cadre';
