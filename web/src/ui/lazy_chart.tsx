// The charts, loaded when the first one is shown.
import { lazy, Suspense, type ComponentProps } from 'react';
import type { DepthChart as Depth, PriceChart as Price } from './chart';
import { Skeleton } from './parts';

const LazyPrice = lazy(async () => ({ default: (await import('./chart')).PriceChart }));
const LazyDepth = lazy(async () => ({ default: (await import('./chart')).DepthChart }));

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
