import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// The server's policy allows no inline script, style or data: font, so nothing is inlined.
export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    outDir: 'dist',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    manifest: 'manifest.json',
    rollupOptions: {
      output: {
        // What every page needs changes rarely: apart, so that it stays in caches across releases.
        manualChunks: (id) =>
          /node_modules\/(react|react-dom|scheduler|react-router|react-router-dom|@remix-run|@tanstack|openapi-fetch)\//.test(
            id,
          )
            ? 'base'
            : undefined,
      },
    },
  },
  server: { proxy: { '/v1': 'http://127.0.0.1:8080', '/version': 'http://127.0.0.1:8080' } },
  test: { include: ['src/**/*.test.ts', 'scripts/**/*.test.mjs'] },
});
