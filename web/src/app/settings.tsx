// What a visitor chooses for the pages: language and light. Kept in localStorage; neither is known to the server.
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { languages, preferred, say, type Language, type Message, type Values } from '../format/words';

export type Light = 'system' | 'light' | 'dark';

interface Settings {
  language: Language;
  light: Light;
  dark: boolean;
  choose_language: (language: Language) => void;
  choose_light: (light: Light) => void;
}

const Context = createContext<Settings | null>(null);

/** localStorage may be forbidden; then a choice lasts as long as the page. */
export function stored(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
function store(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // forbidden: the choice lasts as long as the page
  }
}

const darkness = () => window.matchMedia('(prefers-color-scheme: dark)');

function first_language(): Language {
  const kept = stored('cocoon.language');
  return languages.find((language) => language === kept) ?? preferred(navigator.languages);
}

export function SettingsProvider({ children }: { children: ReactNode }) {
  const [language, set_language] = useState<Language>(first_language);
  const [light, set_light] = useState<Light>(() => (stored('cocoon.light') as Light | null) ?? 'system');
  const [system_dark, set_system_dark] = useState(() => darkness().matches);

  useEffect(() => {
    const query = darkness();
    const changed = () => set_system_dark(query.matches);
    query.addEventListener('change', changed);
    return () => query.removeEventListener('change', changed);
  }, []);

  const dark = light === 'system' ? system_dark : light === 'dark';
  useEffect(() => {
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  }, [dark]);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);

  const settings = useMemo(
    () => ({
      language,
      light,
      dark,
      choose_language: (chosen: Language) => (store('cocoon.language', chosen), set_language(chosen)),
      choose_light: (chosen: Light) => (store('cocoon.light', chosen), set_light(chosen)),
    }),
    [language, light, dark],
  );
  return <Context value={settings}>{children}</Context>;
}

export function useSettings(): Settings {
  const settings = useContext(Context);
  if (!settings) throw new Error('outside of SettingsProvider');
  return settings;
}

/** Says a message of a table in the visitor's language. */
export function useSay(): (message: Message, values?: Values) => string {
  const { language } = useSettings();
  return useCallback((message, values) => say(language, message, values), [language]);
}
