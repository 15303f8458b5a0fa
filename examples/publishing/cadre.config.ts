import { defineConfig } from 'cadre';
import { analysisAgent } from './analysis-agent';
import { publisherAgent } from './publisher-agent';
import { researchAgent } from './research-agent';
import { writerAgent } from './writer-agent';

const desk = process.env['PUBLISHING_DESK'] ?? 'desk';

export default defineConfig({
  cadre: 'publishing',
  agents: [
    researchAgent(desk),
    analysisAgent(desk),
    writerAgent(desk),
    publisherAgent(process.env['PUBLISHING_URL'] ?? 'http://127.0.0.1:8398'),
  ],
  embedded: false,
});
