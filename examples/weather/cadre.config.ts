import { defineConfig } from 'cadre';
import { weatherAgent } from './weather-agent';

export default defineConfig({
  cadre: 'weather',
  agents: [weatherAgent(process.env['WEATHER_URL'] ?? 'http://127.0.0.1:8399')],
  embedded: false,
});
