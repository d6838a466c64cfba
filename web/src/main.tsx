// The start of the pages: styles, the query cache, the frame, the routes. Every desk is a chunk of its own.
import '@fontsource-variable/manrope';
import './styles/tokens.css';
import './styles/base.css';
import './styles/parts.css';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { BrowserRouter } from 'react-router-dom';
import { Refusal } from './api/client';
import { LiveMarket } from './api/live';
import { Pages } from './app/pages';
import { SettingsProvider } from './app/settings';

const attempts_max = 2;

const cache = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What the server refused it will refuse again; only silence and its own faults are worth another try.
      retry: (count, error) =>
        count < attempts_max && (!(error instanceof Refusal) || error.status === 0 || error.status >= 500),
    },
  },
});

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={cache}>
      <SettingsProvider>
        <LiveMarket>
          <BrowserRouter>
            <Pages />
          </BrowserRouter>
        </LiveMarket>
      </SettingsProvider>
    </QueryClientProvider>
  </StrictMode>,
);
