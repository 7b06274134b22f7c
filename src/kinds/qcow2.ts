// How much is in a qcow2 image, from its first tables (the format's specification: docs/interop/qcow2.rst in QEMU).
import type { ImageGlimpse } from './glimpse.js';

/** Where the parts of an L1 or L2 entry are. */
const OFFSET_MASK = 0x00fffffffffffe00n;
const COMPRESSED = 1n << 62n;
const ALL_ZERO = 1n;

/**
 * Undefined when it is no qcow2 image.
 * @param head its first bytes
 * @param fileSize bytes; null while not known
 */
export function readQcow2(head: Uint8Array, fileSize: number | null): ImageGlimpse | undefined {
  if (head.length < 72) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getUint32(0) !== 0x514649fb || view.getUint32(4) < 2) return undefined;
  const clusterBits = view.getUint32(20);
  const virtualSize = Number(view.getBigUint64(24));
  if (clusterBits < 9 || clusterBits > 21 || !Number.isSafeInteger(virtualSize)) return undefined;
  // Most of what is in it lies in its backing file.
  if (view.getBigUint64(8) !== 0n) return { virtualSize, dataBytes: null };
  const cluster = 2 ** clusterBits;
  const l1 = { entries: view.getUint32(36), offset: Number(view.getBigUint64(40)) };
  const tables = hasSubclusters(view) ? undefined : l2Tables(view, l1);
  // Data of so many clusters is told by one L2 table, and counted by one block of counts, of 16 bits each.
  const perTable = cluster / 8;
  const perCounts = cluster / 2;
  const counted = tables && countClusters(view, tables, cluster);
  if (counted && tables.every((offset) => offset + cluster <= head.length)) {
    return { virtualSize, dataBytes: Math.min(virtualSize, counted.clusters * cluster) };
  }
  if (fileSize === null) return { virtualSize, dataBytes: null };
  const tableCount = tables?.length ?? Math.ceil(virtualSize / cluster / perTable);
  const counts = 1 + Math.ceil(fileSize / cluster / perCounts);
  const l1Clusters = Math.max(1, Math.ceil((l1.entries * 8) / cluster));
  const dataFile = Math.max(0, fileSize - (1 + counts + l1Clusters + tableCount) * cluster);
  // Where clusters are compressed, those seen tell how far.
  const data =
    counted && counted.packedBytes > 0
      ? (dataFile / counted.packedBytes) * counted.clusters * cluster
      : dataFile;
  return { virtualSize, dataBytes: Math.min(virtualSize, Math.round(data)) };
}

/** Bit 4 of the incompatible features: entries of L2 tables are of another form. */
function hasSubclusters(view: DataView): boolean {
  return view.getUint32(4) >= 3 && view.byteLength >= 80 && (view.getBigUint64(72) & 16n) !== 0n;
}

/** Offsets of the L2 tables; undefined when the L1 table is not in what is there of the image. */
function l2Tables(
  view: DataView,
  { entries, offset }: { readonly entries: number; readonly offset: number },
): readonly number[] | undefined {
  if (offset + entries * 8 > view.byteLength) return undefined;
  const tables: number[] = [];
  for (let i = 0; i < entries; i++) {
    const table = Number(view.getBigUint64(offset + i * 8) & OFFSET_MASK);
    if (table !== 0) tables.push(table);
  }
  return tables;
}

/** Clusters of data that the tables seen tell of, and the bytes that they take in the file; undefined when none is seen. */
function countClusters(
  view: DataView,
  tables: readonly number[],
  cluster: number,
): { readonly clusters: number; readonly packedBytes: number } | undefined {
  const seen = tables.filter((offset) => offset + cluster <= view.byteLength);
  if (seen.length === 0 && tables.length > 0) return undefined;
  let clusters = 0;
  let packedBytes = 0;
  // A compressed cluster's entry counts the 512-byte sectors that follow its first one, in the bits above the offset.
  const sectorBits = BigInt(62 - (Math.log2(cluster) - 8));
  for (const table of seen) {
    for (let at = table; at < table + cluster; at += 8) {
      const entry = view.getBigUint64(at);
      if ((entry & COMPRESSED) !== 0n) {
        clusters++;
        packedBytes += Number(((entry & (COMPRESSED - 1n)) >> sectorBits) + 1n) * 512;
      } else if ((entry & OFFSET_MASK) !== 0n && (entry & ALL_ZERO) === 0n) {
        clusters++;
        packedBytes += cluster;
      }
    }
  }
  return { clusters, packedBytes };
}
