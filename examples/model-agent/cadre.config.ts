import { defineConfig } from 'cadre';
import { clerk } from './clerk-agent';

export default defineConfig({ cadre: 'shop', agents: [clerk], embedded: false });
