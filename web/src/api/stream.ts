// Server-sent events over fetch: unlike EventSource it can carry a credential and sees the keep-alive comments, so that a
// connection that died silently is noticed. Reconnects with Last-Event-ID. Knows no event's meaning.

export interface StreamEvent {
  name: string;
  id: string;
  data: string;
}

export type StreamState = 'connecting' | 'live' | 'stale';

export interface StreamOptions {
  url: string;
  headers?: () => Record<string, string>;
  on_event: (event: StreamEvent) => void;
  on_state: (state: StreamState) => void;
}

/** The server sends a comment at least every 15 s; three of them missing is silence. */
export const silence_ms_max = 45_000;
const pause_ms_first = 500;
const pause_ms_max = 15_000;

/** Cuts a growing text into whole events (WHATWG HTML §9.2.6); the rest waits for more. */
export class EventParser {
  private rest = '';
  private id = '';

  take(text: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    const blocks = (this.rest + text).replaceAll('\r\n', '\n').split('\n\n');
    this.rest = blocks.pop() ?? '';
    for (const block of blocks) {
      let name = 'message';
      const data: string[] = [];
      for (const line of block.split('\n')) {
        const colon = line.indexOf(':');
        if (colon <= 0) continue;
        const value = line.slice(colon + 1).replace(/^ /, '');
        const field = line.slice(0, colon);
        if (field === 'event') name = value;
        else if (field === 'data') data.push(value);
        else if (field === 'id') this.id = value;
      }
      if (data.length > 0) events.push({ name, id: this.id, data: data.join('\n') });
    }
    return events;
  }
}

/** Opens the stream and keeps it open; the function it returns ends it. */
export function open_stream(options: StreamOptions): () => void {
  let ended = false;
  let last_id = '';
  let pause_ms = pause_ms_first;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let abort = new AbortController();

  async function run(): Promise<void> {
    abort = new AbortController();
    let silence = setTimeout(() => abort.abort(), silence_ms_max);
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream', ...options.headers?.() };
      if (last_id) headers['Last-Event-ID'] = last_id;
      const response = await fetch(options.url, { headers, signal: abort.signal, cache: 'no-store' });
      if (!response.ok || !response.body) throw new Error(`HTTP ${response.status}`);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      options.on_state('live');
      pause_ms = pause_ms_first;
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), silence_ms_max);
        for (const event of parser.take(value)) {
          last_id = event.id || last_id;
          options.on_event(event);
        }
      }
    } catch {
      // unreachable, refused, silent or ended by us: all lead to the next attempt below
    }
    clearTimeout(silence);
    if (ended) return;
    options.on_state('stale');
    retry = setTimeout(() => void run(), pause_ms);
    pause_ms = Math.min(pause_ms * 2, pause_ms_max);
  }

  options.on_state('connecting');
  void run();
  return () => {
    ended = true;
    clearTimeout(retry);
    abort.abort();
  };
}
