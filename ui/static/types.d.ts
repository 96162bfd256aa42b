// The shapes of what the API answers, as docs/api.md and docs/monitoring.md tell of them.
// In a module: `/** @typedef {import("../types.js").Model} Model */`.

// ---- models -------------------------------------------------------------------------------------------------------

/** "" is a peer's model, whose state is not known here. */
export type ModelState = "stopped" | "starting" | "ready" | "stopping" | "";

export type Ability =
  | "audio_speech"
  | "audio_transcriptions"
  | "function_calling"
  | "image_generation"
  | "image_to_image"
  | "reranker"
  | "vision";

export interface Model {
  id: string;
  /** Often "": show `displayName(model)`. */
  name: string;
  description: string;
  state: ModelState;
  unlisted: boolean;
  /** "" for a model of this machine. */
  peerID: string;
  aliases?: string[];
  capabilities?: Partial<Record<Ability, boolean>>;
  context_length?: number;
}

/** A name of `GET /v1/models`. */
export interface ListedModel {
  id: string;
  name?: string;
  description?: string;
  owned_by?: string;
  status?: { value: "loaded" | "unloaded" };
  capabilities?: Partial<Record<Ability, boolean>>;
  context_length?: number;
  meta?: {
    llamaswap?: {
      type?: "model" | "alias" | "peer" | "selector" | "profile";
      aliases?: string[];
      modelID?: string;
      peerID?: string;
      strategy?: string;
      targets?: string[];
      [key: string]: unknown;
    };
  };
}

export interface Selector {
  id: string;
  name: string;
  description: string;
  strategy: string;
  targets: string[];
  /** Requests that each target serves before the next one is used; only of that strategy. */
  spillover?: number;
}

/** A process of `GET /running`. */
export interface RunningModel {
  model: string;
  state: ModelState;
  cmd: string;
  proxy: string;
  /** Seconds; 0: never. */
  ttl: number;
  name?: string;
  description?: string;
}

export interface Profile {
  id: string;
  description: string;
  /** Name → model; "" for a name that is disabled. */
  pins: Record<string, string>;
}

export interface ProfileList {
  active: string | null;
  profiles: Profile[];
}

// ---- who waits, who is served ---------------------------------------------------------------------------------------

export interface QueueEntry {
  /** From 1. */
  position: number;
  model: string;
  ticket: number;
  /** Its id in flight; null for what is no request, as a load by hand. */
  request_id: string | null;
  waited_ms: number;
  /** null: not known yet. */
  estimated_ms: number | null;
  overdue: boolean;
  held_by: { model: string; state: ModelState; in_flight: number }[];
}

export interface QueueModel {
  state: ModelState;
  in_flight: number;
  waiting: number;
  /** How long a request that came now would wait; null: not known, or it would be refused. */
  estimated_ms: number | null;
  /** Why it failed to start the last time. */
  failure?: string;
  /** How long its requests are refused for that. */
  retry_in_ms?: number;
}

export interface QueueState {
  queue: QueueEntry[];
  length: number;
  limit: number;
  models: Record<string, QueueModel>;
}

/** The queue as it was at a moment of our own monotonic clock. */
export type KnownQueue = QueueState & { receivedAtMs: number };

export interface InflightRequest {
  id: string;
  timestamp: string;
  /** "" until it is known. */
  model: string;
  req_path: string;
  method: string;
  req_headers: Record<string, string>;
  remote_ip: string;
  resp_headers: Record<string, string>;
  resp_bytes: number;
  elapsed_ms: number;
  metadata?: Record<string, string>;
}

/** With the moment of its last news by `performance.now()`: see `elapsedMs` of lib/events.js. */
export type KnownRequest = InflightRequest & { receivedAtMs: number };

// ---- who was in memory ----------------------------------------------------------------------------------------------

export interface ResidencyChange {
  id: number;
  at: string;
  model: string;
  state: "starting" | "ready" | "stopping" | "stopped" | "failed";
  was: ResidencyChange["state"];
  why: string;
  cause: "evicted" | "idle" | "unloaded" | "reconfigured" | "shutdown" | "failed" | null;
  /** The model that it was evicted for. */
  room_for: string | null;
  /** Of "starting": the models that were stopped for it. */
  victims: string[];
  /** How long the state before lasted; null if it was stopped. */
  lasted_ms: number | null;
}

/** `GET /api/residency`. */
export interface Residency {
  now: string;
  /** From when on nothing is missing. */
  since: string;
  last: number;
  changes: ResidencyChange[];
}

/** `GET /api/models/{model}`. */
export interface ModelDetails {
  id: string;
  name: string;
  description: string;
  aliases: string[];
  unlisted: boolean;
  state: ModelState;
  since: string | null;
  started_at: string | null;
  idle_since: string | null;
  unloads_at: string | null;
  in_flight: number;
  waiting: number;
  failure: string;
  retry_in_ms: number;
  process: {
    pid: number;
    port: number | null;
    memory: { at: string; ram_mb: number; gpus: { uuid: string; name: string; used_mb: number }[] } | null;
  } | null;
  learned: { load_ms: number | null; stop_ms: number | null; request_ms: number | null };
  /** Without secrets. */
  cmd: string;
  cmd_stop: string;
  /** Names only. */
  env: string[];
  proxy: string;
  check_endpoint: string | null;
  health_check_timeout_s: number;
  unload_timeout_s: number;
  ttl_s: number;
  priority: number;
  concurrency_limit: number;
  use_model_name: string;
  send_loading_state: boolean;
  capabilities: Partial<Record<Ability, boolean>>;
  inputs: string[];
  outputs: string[];
  context_length: number;
  metadata: Record<string, unknown>;
  preload: boolean;
  rules: string[];
}

// ---- activity -------------------------------------------------------------------------------------------------------

/** -1 in any number: not known. */
export interface ActivityRecord {
  id: number;
  timestamp: string;
  model: string;
  req_path: string;
  resp_content_type: string;
  resp_status_code: number;
  error_msg?: string;
  tokens: {
    cache_tokens: number;
    draft_tokens: number;
    draft_acc_tokens: number;
    input_tokens: number;
    output_tokens: number;
    prompt_per_second: number;
    tokens_per_second: number;
  };
  duration_ms: number;
  has_capture: boolean;
  metadata?: Record<string, string>;
  method: string;
  measured: boolean;
  streamed: boolean;
  ttft_ms: number;
  queued_ms: number;
  swap_ms: number;
  stop_reason: string;
  session_id: string;
  key_fingerprint: string;
  client: string;
  req_bytes: number;
  resp_bytes: number;
}

export interface ActivityPage {
  data: ActivityRecord[];
  page: number;
  limit: number;
  total: number;
  total_pages: number;
}

export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

export interface Histogram extends Percentiles {
  bins: number[];
  min: number;
  max: number;
  /** 0: all values are the same, and in the one bin. */
  binSize: number;
}

export interface ActivityStats {
  total_requests: number;
  total_input_tokens: number;
  total_output_tokens: number;
  total_cache_tokens: number;
  prompt_histogram: Histogram | null;
  gen_histogram: Histogram | null;
  ttft_histogram: Histogram | null;
  /** Of those that waited at all: how many, and how long. */
  queued_ms: (Percentiles & { count: number }) | null;
  swap_ms: (Percentiles & { count: number }) | null;
}

export interface Capture {
  id: number;
  req_path: string;
  req_headers: Record<string, string>;
  /** Base64; null: there is none. */
  req_body: string | null;
  /** null: it ended before there were any. */
  resp_headers: Record<string, string> | null;
  resp_body: string | null;
  method: string;
  /** 0: it ended before there was one. */
  status: number;
  time: string;
  duration_ms: number;
  req_size: number;
  req_truncated: boolean;
  resp_size: number;
  resp_truncated: boolean;
  error: string;
}

// ---- the machine ----------------------------------------------------------------------------------------------------

export interface SystemSample {
  timestamp: string;
  cpu_util_per_core: number[];
  mem_total_mb: number;
  mem_used_mb: number;
  mem_free_mb: number;
  swap_total_mb: number;
  swap_used_mb: number;
  load_avg_1: number;
  load_avg_5: number;
  load_avg_15: number;
  /** Counters since the machine's start. */
  net_io: { name: string; bytes_recv: number; bytes_sent: number }[];
  disks?: { mount: string; total_mb: number; used_mb: number }[];
  disk_read_bytes?: number;
  disk_written_bytes?: number;
}

export interface GpuSample {
  timestamp: string;
  id: number;
  name: string;
  uuid: string;
  temp_c: number;
  vram_temp_c: number;
  gpu_util_pct: number;
  mem_util_pct: number;
  mem_used_mb: number;
  mem_total_mb: number;
  fan_speed_pct: number;
  power_draw_w: number;
  /** Which of the figures are 0 because nobody knows them. */
  unknown?: string[];
  vendor?: string;
  pci?: string;
  unified?: boolean;
  power_limit_w?: number | null;
  clock_mhz?: number | null;
  mem_clock_mhz?: number | null;
}

export interface ModelSample {
  timestamp: string;
  model: string;
  pid: number;
  ram_mb: number;
  gpus: { uuid: string; used_mb: number }[];
}

export interface PerformanceState {
  enabled: boolean;
  gpu_stats: GpuSample[] | null;
  sys_stats: SystemSample[] | null;
  models?: ModelSample[];
  sources?: { name: string; state: "new" | "ok" | "stale" | "absent" | "idle"; detail: string }[];
  every_s?: number;
}

export interface Accelerator {
  index: number;
  kind: string;
  vendor: string | null;
  model: string | null;
  architecture: string | null;
  memory: { kind: "dedicated" | "unified" | "shared_system" | "unknown"; capacity_bytes: number | null };
  driver: { name: string | null; version: string | null } | null;
  power_limit_watts: number | null;
}

export interface Hardware {
  schema_version: number;
  captured_at: string;
  capture: { scope: string; method: string; detector: Record<string, unknown> | null };
  architecture: { name: string; raw_name: string | null };
  operating_system: {
    family: string;
    raw_family?: string;
    name: string | null;
    version: string | null;
    kernel: string | null;
  };
  environment: { kind: string; raw_kind?: string; name: string | null; version: string | null };
  cpu: {
    vendor: string | null;
    model: string | null;
    socket_count: number | null;
    physical_core_count: number | null;
    logical_thread_count: number | null;
  };
  memory: { capacity_bytes: number | null };
  accelerators: Accelerator[];
}

// ---- Hostler itself -------------------------------------------------------------------------------------------------

export interface Version {
  version: string;
  commit: string;
  build_date: string;
}

export interface UiConfig {
  activity: { session_id: string[] };
  /** Where pages of models' servers are not confined, if there is such a port: docs/upstream-pages.md. */
  pages_port?: number;
}

export interface ReloadPlan {
  unchanged: string[];
  changed: { model: string; settings: string[]; restarts: boolean }[];
  added: string[];
  removed: string[];
  swapping_changed: boolean;
  settings: string[];
  needs_restart: string[];
}

/** What `POST /api/config/reload` answers. */
export interface ReloadAnswer {
  reloaded: boolean;
  plan: ReloadPlan;
}

/** The event, with the moment it came (epoch ms). */
export interface ReloadOutcome {
  ok: boolean;
  message: string;
  at: number;
}

// ---- live events ----------------------------------------------------------------------------------------------------

export type InflightChange =
  | { operation: "snapshot"; requests?: InflightRequest[] }
  | { operation: "upsert"; request: InflightRequest }
  | { operation: "remove"; id: string };

export type LogSource = "proxy" | "upstream";

/** One event of `/api/events`, unpacked. */
export type HostlerEvent =
  | { type: "logData"; data: { data: string; source: LogSource } }
  | { type: "modelStatus"; data: Model[] }
  | { type: "uiConfig"; data: UiConfig }
  | { type: "profileChanged"; data: { active: string | null } }
  | { type: "inflight"; data: InflightChange }
  | { type: "queue"; data: QueueState }
  | { type: "activity"; data: { id: number } }
  | { type: "reload"; data: { ok: boolean; message: string } }
  | { type: "performance"; data: PerformanceState }
  | { type: "resync"; data: { missed: number; types: string[] } };

/** When an event came: by the monotonic clock, and by the wall's. */
export interface Moment {
  monotonicMs: number;
  wallMs: number;
}

/** All that the page knows from events; see lib/events.js. */
export interface State {
  models: Model[];
  queue: KnownQueue;
  inflight: ReadonlyMap<string, KnownRequest>;
  profile: string | null;
  uiConfig: UiConfig;
  lastActivity: number;
  lastReload: ReloadOutcome | null;
  performance: PerformanceState | null;
  /** Of which types something is known: a newcomer is told of them in several pieces. */
  told: ReadonlySet<string>;
}
