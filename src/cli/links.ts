/** Where Temporal's Web UI shows a workflow; undefined where nobody told us and we cannot know. */
export function webUiLink(
  at: { address: string; namespace: string; uiUrl?: string | undefined },
  workflowId: string,
): string | undefined {
  const base = (process.env['TEMPORAL_UI_URL'] || at.uiUrl) ?? guess(at.address);
  if (base === undefined) return undefined;
  return `${base.replace(/\/$/, '')}/namespaces/${encodeURIComponent(at.namespace)}/workflows/${encodeURIComponent(workflowId)}`;
}

/** Cloud has one address for all; the dev server puts its UI a thousand ports above. */
function guess(address: string): string | undefined {
  if (/\.tmprl\.cloud(:\d+)?$/.test(address)) return 'https://cloud.temporal.io';
  const [, host, port] = /^(127\.0\.0\.1|localhost|\[::1\]):(\d+)$/.exec(address) ?? [];
  const uiPort = Number(port) + 1000;
  return host === undefined || uiPort > 65_535 ? undefined : `http://${host}:${uiPort}`;
}
