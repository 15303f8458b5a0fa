/**
 * Loads the AI SDK where it is first of use: what asks no model starts without it. By `require`, since Jest runs no `import()` of
 * compiled packages, and agents are tested under it.
 */
import type * as anthropic from '@ai-sdk/anthropic';
import type * as openai from '@ai-sdk/openai-compatible';
import type * as ai from 'ai';

export function aiSdk(): typeof ai {
  return require('ai') as typeof ai;
}

export function anthropicSdk(): typeof anthropic {
  return require('@ai-sdk/anthropic') as typeof anthropic;
}

export function openaiSdk(): typeof openai {
  return require('@ai-sdk/openai-compatible') as typeof openai;
}
