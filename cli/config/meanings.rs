//! What each key means, as the example configuration tells it.

/// Every key with its meaning and the effect of changing it, in the order in which they are shown.
pub(super) const KEYS: &[(&str, &str, &str)] = &[
    (
        "storage",
        "data_dir",
        "Folder for everything that is stored; created when missing, with access for its owner only.",
    ),
    (
        "storage",
        "buffer_bytes_max",
        "Decoded spans held in memory, flushed or not; past it exports are refused as retryable.\nRaise it when `daytwo_shed_requests_total` grows for reason store_full or store_busy while the disk keeps up.",
    ),
    (
        "storage",
        "flush_bytes",
        "A flush to files starts when this much waits. Larger: fewer and larger files, more memory, longer restart.",
    ),
    (
        "storage",
        "flush_interval",
        "A flush starts when the oldest waiting span is this old. Queries see spans at once, flushed or not.",
    ),
    ("storage", "wal_segment_bytes", "Size of a write-ahead log segment, allocated at once."),
    (
        "storage",
        "dedup_window",
        "How long an accepted request is remembered, restart included, so that sending it again stores nothing.",
    ),
    (
        "storage",
        "compaction_target_bytes",
        "Size that files of an hour are brought to by merging them; 0 turns that off.\nLarger: fewer files, more rewriting and more room needed while merging.",
    ),
    (
        "storage",
        "vacuum_after",
        "How long other engines may go on reading a file that was merged into another or expired; then it is removed.\nRaise it when queries of theirs run longer and stop at a missing file. A disk that runs full does not wait.",
    ),
    (
        "storage",
        "retention",
        "How long spans are kept after their reception; 0 keeps them. Whole files go, an hour at a time.\nNothing goes while the clock is more than a day past the latest time that was seen, until it has advanced for an hour.",
    ),
    (
        "storage",
        "retention_disk_percent",
        "Percent of the disk that may be in use, by whomever, before the oldest spans go; 0 looks at no disk.",
    ),
    (
        "storage",
        "scrub_interval",
        "How often every file is read and compared with the hash it was written with; 0 never does.",
    ),
    ("storage", "scrub_bytes_per_second", "How fast files are read for that, at most; 0 reads none."),
    (
        "storage",
        "object_store",
        "Where the table is instead of data_dir: an S3-compatible store, as in s3://bucket/prefix; empty for data_dir.\ndata_dir keeps the write-ahead log and what is on its way. Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...).",
    ),
    ("storage", "object_endpoint", "Address of the store, as in https://minio.example:9000; empty for Amazon's."),
    ("storage", "object_region", "Region of the bucket; empty for AWS_REGION, else us-east-1."),
    ("storage", "object_allow_http", "Whether the store may be spoken to without encryption."),
    (
        "storage",
        "index_cache_bytes",
        "Disk below data_dir/cache for copies of the indexes of a table in a store. Larger: fewer requests for lookups.",
    ),
    (
        "storage",
        "ack",
        "When an export is acknowledged: \"local\", once it is in the write-ahead log on the disk of data_dir; \"object\", once it is in the store.\nWith \"object\" a lost disk loses nothing; an acknowledgement takes up to half a second longer, and each round is a request that costs.",
    ),
    (
        "storage",
        "retention_by_service",
        "Services whose spans are kept for another time than `retention`, as in { checkout = \"90d\", probe = \"1d\" }; 0 keeps them.\nSpans of a service leave a file once they are at least half of it, or with the whole file.",
    ),
    ("collector", "grpc_addr", "OTLP/gRPC. Port 0 takes a free port; see --addr-file."),
    ("collector", "http_addr", "OTLP/HTTP: protobuf and JSON at /v1/traces."),
    (
        "collector",
        "tls_cert_file",
        "Certificate chain in PEM, the server's own first; with it both receivers speak TLS (1.2, 1.3) and nothing else.\nThis file and the three below are read at start and again within seconds after they change; what cannot be used then changes nothing.",
    ),
    ("collector", "tls_key_file", "Private key of that certificate, in PEM, without a password."),
    (
        "collector",
        "tls_client_ca_file",
        "Authorities in PEM; with them only clients that show a certificate of one of them are served.",
    ),
    (
        "collector",
        "bearer_token_files",
        "Files with one token each; with them every export needs `Authorization: Bearer` and one of the tokens.\nTwo files let a token be replaced without a restart: write the new one into the second, give it to the exporters, write it into the first.",
    ),
    (
        "collector",
        "allow_remote_without_auth",
        "Addresses other than 127.0.0.1 are refused unless exporters show a token or a certificate, or this is true.",
    ),
    (
        "collector",
        "request_bytes_max",
        "Largest export request, after decompression; larger ones are refused for good (413, RESOURCE_EXHAUSTED).",
    ),
    (
        "collector",
        "inflight_bytes_max",
        "Bytes of all export requests in work: received, decompressed and decoded. Past it requests are refused as retryable. At least twice request_bytes_max.\nRaise it for larger bursts, at the price of memory.",
    ),
    ("collector", "connections_max", "Connections per receiver; more are closed at once."),
    (
        "collector",
        "connection_idle_max",
        "How long a connection may be without a request in work; then it is asked to go. One that never sends a request has 10 s.",
    ),
    (
        "collector",
        "connection_age_max",
        "Age at which a connection is asked to reconnect, so that load balancers spread it anew; up to a fifth more, so that not all do at once.",
    ),
    (
        "collector",
        "connection_age_grace",
        "How long a connection that was asked to go may take for its requests in work; then it is closed.",
    ),
    (
        "collector",
        "keepalive_interval",
        "How often the client of an HTTP/2 connection is pinged, so that one that is gone frees its place.",
    ),
    ("collector", "keepalive_timeout", "How long its answer may take; then the connection is closed."),
    (
        "collector",
        "cors_allowed_origins",
        "Origins of web pages whose exporters may send over OTLP/HTTP, as in [\"https://shop.example\", \"http://localhost:3000\"]; none by default.",
    ),
    (
        "query",
        "running_max",
        "SQL queries and searches that run at once; others wait, and are refused as overloaded after 10 s.",
    ),
    ("query", "timeout", "How long a query may run, waiting for its client included."),
    ("query", "memory_bytes_max", "Memory that all running queries share; past it they spill to disk, then fail."),
    ("query", "spill_bytes_max", "Disk below data_dir/spill that all running queries share."),
    ("query", "answer_rows_max", "Rows of an answer; past it the answer ends and says that it is truncated."),
    ("query", "partitions", "Threads that one query spreads over; 0 means one per core."),
    (
        "engine",
        "slo_dir",
        "Folder of OpenSLO v1 files (*.yaml, *.yml), read at start, on SIGHUP and when they change; empty for none.",
    ),
    (
        "engine",
        "trace_idle",
        "A trace without a new span for this long is measured. Longer: fewer late spans, older numbers.",
    ),
    ("engine", "rebuild_window", "How far back stored spans are measured again at start."),
    ("engine", "bake", "How long a new version is judged before an open verdict becomes INCONCLUSIVE."),
    (
        "engine",
        "lookback",
        "How much of the old version's past a new one is compared with when both do not run side by side.",
    ),
    (
        "engine",
        "planned_traces",
        "Traces of each version for which verdicts are sharpest; 0 goes by the old version's traffic before the new one came. Not to be changed while a release is judged.",
    ),
    ("dashboards", "addr", "API and board."),
    (
        "dashboards",
        "allowed_hosts",
        "Further names under which the board may be opened, as in [\"daytwo.example.com\"]; on a loopback address other names are refused.",
    ),
    (
        "dashboards",
        "allow_remote_without_auth",
        "There is no authentication yet: addresses other than 127.0.0.1 are refused unless this is true.",
    ),
    (
        "alerts",
        "board_url",
        "Address under which people open the board, as in \"https://daytwo.example.com\": links in alerts begin with it; empty for no links.",
    ),
    (
        "alerts",
        "webhook",
        "Who is told of burning budgets and failed releases; one table each, in place of this key:\n\
         [[alerts.webhook]]\n\
         name = \"ops\"                               # in metrics and the log\n\
         url = \"https://alerts.example/api/v2/alerts\"\n\
         format = \"alertmanager\"                    # or \"json\", the default\n\
         severities = [\"page\", \"ticket\"]          # the default\n\
         allow_networks = [\"10.1.0.0/16\"]           # addresses that are not public are refused but for these; none by default\n\
         allow_http = false                         # without encryption only where this is true\n\
         ca_file = \"ca.pem\"                         # certificates to trust in place of the machine's\n\
         bearer_token_file = \"token\"                # or bearer_token_env, a variable's name; sent as Authorization\n\
         signing_key_file = \"key\"                   # or signing_key_env; X-Daytwo-Signature: sha256=HMAC(key, X-Daytwo-Timestamp + \".\" + body)\n\
         repeat = \"4h\"                              # an alert that goes on is told again; 1m for alertmanager, else 4h",
    ),
    ("log", "level", "error, warn, info, debug or trace; or by part, as in \"info,daytwo_storage=debug\"."),
];
