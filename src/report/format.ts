// Numbers as people read them: bytes in binary units, times, rates. One spelling for every table, face and message.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
type Unit = (typeof UNITS)[number];

/** `512 B`, `41.2 MiB`, `390 MiB`: one decimal below 100. */
export function formatBytes(bytes: number): string {
  const unit = unitOf(bytes);
  return `${inUnit(bytes, unit)} ${unit}`;
}

/** `12.0 of 390 MiB`, in the unit of the total; without a total, `12.0 MiB`. */
export function formatDone(done: number, total: number | null): string {
  if (total === null) return formatBytes(done);
  const unit = unitOf(total);
  return `${inUnit(Math.min(done, total), unit)} of ${inUnit(total, unit)} ${unit}`;
}

/** `12.3 MiB/s` */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** A span in ms: `340 ms`, `14.2 s`, `2 min 05 s`, `1 h 02 min`. */
export function formatDuration(ms: number): string {
  if (Math.round(ms) < 1000) return `${Math.round(ms)} ms`;
  if (Math.round(ms / 100) < 600) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad2(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${pad2(minutes % 60)} min`;
}

/** Time left, from ms: `0:07`, `2:05`, `1:02:03`. */
export function formatLeft(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  const rest = `${pad2(seconds % 60)}`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${pad2(minutes % 60)}:${rest}`;
}

/** `1 file`, `3 files` */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

function unitOf(bytes: number): Unit {
  let at = 0;
  // The rounded figure decides, so that 1023.96 KiB reads 1.0 MiB.
  while (at < UNITS.length - 1 && Number(inUnit(bytes, UNITS[at] ?? 'B')) >= 1024) at++;
  return UNITS[at] ?? 'B';
}

function inUnit(bytes: number, unit: Unit): string {
  const value = bytes / 1024 ** UNITS.indexOf(unit);
  return unit === 'B' || Math.round(value * 10) >= 1000 ? String(Math.round(value)) : value.toFixed(1);
}

function pad2(n: number): string {
  return String(n).padStart(2, '0');
}
