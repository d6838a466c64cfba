// Text in three languages as plain tables: one line a message, [English, Português, Русский]. A table missing a language
// does not compile. Each desk has its own table, so that a page loads only the words it shows.

export const languages = ['en', 'pt', 'ru'] as const;
export type Language = (typeof languages)[number];
export const language_names: Record<Language, string> = { en: 'English', pt: 'Português', ru: 'Русский' };

export type Message = readonly [en: string, pt: string, ru: string];
export type Values = Record<string, string | number>;

export function words<Table extends Record<string, Message>>(table: Table): Table {
  return table;
}

/** The message in that language, `{name}` replaced by values.name. */
export function say(language: Language, message: Message, values: Values = {}): string {
  return message[languages.indexOf(language)]!.replace(/\{(\w+)\}/g, (whole, name: string) =>
    String(values[name] ?? whole),
  );
}

/** The first of the browser's wishes that we speak. */
export function preferred(wishes: readonly string[]): Language {
  for (const wish of wishes) {
    const found = languages.find((language) => wish.toLowerCase().startsWith(language));
    if (found) return found;
  }
  return 'en';
}
