// The library: everything that the command line does, as typed functions.
//
//   const graph = loadGraph({ file, cwd, set: {}, env: process.env, kinds: references });
//   const workspace = openWorkspace({ graph, env: process.env });
//   const result = await build(workspace, selectNodes(graph, []), { listener: console.log });
export { findManifest } from './manifest/find.js';
export { readParams } from './manifest/params.js';
export { loadGraph, type GraphRequest } from './graph/load.js';
export { closure, selectNodes } from './graph/select.js';
export { checkVariants, variantOf } from './graph/variants.js';
export { references } from './plan/registry.js';
export { openWorkspace, type Workspace } from './plan/workspace.js';
export { planNodes, type PlanOptions } from './plan/plan.js';
export { explain, type Explanation } from './plan/explain.js';
export { lastRun } from './plan/record.js';
export { build, planBuild } from './execute/build.js';
export { clean } from './execute/clean.js';
export { update } from './execute/update.js';
export { verify } from './execute/verify.js';
export type { BuildOptions, CleanReport, SpaceEstimate, UpdateReport, VerifyReport } from './execute/api.js';

export { statusJson, type StatusJson } from './report/status.js';
export { planJson, type PlanJson } from './report/plan.js';
export { whyJson, type WhyJson } from './report/why.js';
export { listJson, type ListJson } from './report/list.js';
export { showJson, type ShowJson } from './report/show.js';
export { drawing, type Drawing } from './report/graph-edges.js';
export { graphDot } from './report/graph-dot.js';
export { graphMermaid } from './report/graph-mermaid.js';
export { graphJson, type GraphJson } from './report/graph-json.js';
export { envReport, type EnvReport } from './report/env.js';

export { ResError, type ErrorCode, type FailedCommand } from './model/error.js';
export type { Action, Trace } from './model/action.js';
export type { Content, Item } from './model/content.js';
export type { Diagnostic, Location } from './model/diagnostic.js';
export type { Digest } from './model/digest.js';
export type { Env } from './model/env.js';
export type { BuildEvent, BuildResult, ErrorReport, EventListener, Work } from './model/event.js';
export type { Graph } from './model/graph.js';
export type { Lock, LockEntry, LockedFile } from './model/lock.js';
export type { Manifest, ParamDeclaration } from './model/manifest.js';
export type { Node, NodeDeclaration, Variant } from './model/node.js';
export type { NodePlan, NodeState, Plan, Reason, ReasonCode, Step } from './model/plan.js';
