// The charts, loaded when the first one is shown.
import { lazy, Suspense, type ComponentProps } from 'react';
import type { DepthChart as Depth, PriceChart as Price } from './chart';
import { Skeleton } from './parts';

/** Begins to load them; a page that will draw calls this before it has what to draw. */
export const load_charts = () => import('./chart');

const LazyPrice = lazy(async () => ({ default: (await load_charts()).PriceChart }));
const LazyDepth = lazy(async () => ({ default: (await load_charts()).DepthChart }));

export function PriceChart(props: ComponentProps<typeof Price>) {
  return (
    <Suspense fallback={<Skeleton />}>
      <LazyPrice {...props} />
    </Suspense>
  );
}
export function DepthChart(props: ComponentProps<typeof Depth>) {
  return (
    <Suspense fallback={<Skeleton />}>
      <LazyDepth {...props} />
    </Suspense>
  );
}
