// JSON as the market's own programs read and sign it: strictly read, canonically written (RFC 8785). Pure functions.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

/** Why a text is not read; `message` is for people. */
export class Unreadable extends Error {}

const text_characters_max = 2 << 20;
const depth_max = 64;

/** JSON.parse keeps the last of two equal names, other readers the first: nobody may sign such a text. */
function refuse_repeated_names(text: string): void {
  const open: (Set<string> | null)[] = []; // null: an array
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(?:\s*:)?|[{}[\]]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (token.endsWith(':')) {
      const name = JSON.parse(token.slice(0, token.lastIndexOf('"') + 1)) as string;
      const names = open.at(-1);
      if (names?.has(name)) throw new Unreadable(`the name "${name}" occurs twice`);
      names?.add(name);
    }
    if (open.length > depth_max) throw new Unreadable('nested too deeply');
  }
}

/** Half of a surrogate pair has no UTF-8, so no octets that could have been signed. */
function refuse_halves(name: string, value: unknown): unknown {
  if (/\p{Surrogate}/u.test(name) || (typeof value === 'string' && /\p{Surrogate}/u.test(value)))
    throw new Unreadable('a text is not Unicode');
  return value;
}

/** The value in `text`; Unreadable if it is no JSON, or JSON that two readers may take for different things. */
export function read_json(text: string): Json {
  if (text.length > text_characters_max) throw new Unreadable('too long');
  try {
    const value = JSON.parse(text, refuse_halves) as Json;
    refuse_repeated_names(text);
    return value;
  } catch (error) {
    throw error instanceof Unreadable ? error : new Unreadable('not JSON');
  }
}

/** RFC 8785: names by UTF-16 code units, no white space. ECMAScript's own numbers and strings are what it asks for. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name]!)}`).join(',')}}`;
}

export const is_object = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The member of that name if it is a text. */
export function text_at(value: Json | undefined, name: string): string | undefined {
  const found = is_object(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return typeof found === 'string' ? found : undefined;
}
