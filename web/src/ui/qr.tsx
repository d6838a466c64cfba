// A text as a code for a phone's camera. Loaded with what shows one only.
import qrcode from 'qrcode-generator';
import { useMemo } from 'react';

/** An SVG of our own, since a data: image would be a stranger's. `level` of repair: L for long texts on a clean screen. */
export function Qr({ text, label, level = 'M' }: { text: string; label: string; level?: 'L' | 'M' }) {
  const { path, size } = useMemo(() => {
    const code = qrcode(0, level);
    code.addData(text);
    code.make();
    const count = code.getModuleCount();
    let cells = '';
    for (let y = 0; y < count; y++)
      for (let x = 0; x < count; x++) if (code.isDark(y, x)) cells += `M${x + 2} ${y + 2}h1v1h-1z`;
    return { path: cells, size: count + 4 };
  }, [text, level]);
  return (
    <svg className="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
