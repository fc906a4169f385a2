//! What each operation of the services behind the gateway does.

use super::{Exception, OnFailure, Operation, Protocol, Query, Step, Target};
use OnFailure::{Ignore, Propagate, Retry};
use Step::{Call, EachItem, Internal, Parallel, Publish, Sometimes};

const NEVER: Exception = Exception { kind: "InternalError", message: "internal error", http: 500, grpc: 13 };
const REDIS_TIMEOUT: Exception =
    Exception { kind: "RedisTimeoutError", message: "redis: read timed out, pool busy", http: 503, grpc: 4 };
const BANK_RESET: Exception =
    Exception { kind: "ECONNRESET", message: "socket hang up: connection reset by peer", http: 502, grpc: 14 };

const fn redis(name: &'static str, command: &'static str, text: &'static str, ms: f64) -> Query {
    Query {
        target: Target::Redis { database: "0", command, text },
        name,
        ms,
        sigma: 0.35,
        fault: 0.028,
        exception: REDIS_TIMEOUT,
        retried: false,
    }
}

const fn postgres(
    name: &'static str,
    database: &'static str,
    table: &'static str,
    verb: &'static str,
    text: &'static str,
    ms: f64,
) -> Query {
    Query {
        target: Target::Postgres { database, table, verb, text },
        name,
        ms,
        sigma: 0.3,
        fault: 0.0005,
        exception: Exception {
            kind: "SerializationFailure",
            message: "could not serialize access due to concurrent update",
            http: 500,
            grpc: 10,
        },
        retried: true,
    }
}

static SESSION_GET: Query = redis("GET session", "GET", "GET session:?", 0.5);
static PRODUCT_GET: Query = redis("GET product", "GET", "GET product:?", 0.45);
static PRICE_GET: Query = redis("MGET price", "MGET", "MGET price:? price:?", 0.6);
static CART_GET: Query = redis("HGETALL cart", "HGETALL", "HGETALL cart:?", 0.55);
static CART_SET: Query = redis("HSET cart", "HSET", "HSET cart:? item ?", 0.6);
static CART_DELETE: Query = redis("DEL cart", "DEL", "DEL cart:?", 0.5);
static PROFILE_GET: Query = redis("GET profile", "GET", "GET profile:?", 0.5);

static PRODUCTS_SELECT: Query = postgres(
    "SELECT products",
    "catalog",
    "products",
    "SELECT",
    "SELECT id, name, description, picture, categories, price_units FROM products WHERE category = $1 LIMIT 24",
    4.2,
);
static PRODUCT_SELECT: Query = postgres(
    "SELECT product",
    "catalog",
    "products",
    "SELECT",
    "SELECT id, name, description, picture, categories, price_units FROM products WHERE id = $1",
    2.1,
);
static STOCK_SELECT: Query = postgres(
    "SELECT stock",
    "inventory",
    "stock",
    "SELECT",
    "SELECT sku, warehouse, on_hand, reserved FROM stock WHERE sku = ANY($1)",
    2.4,
);
static STOCK_LOCK: Query = postgres(
    "SELECT stock",
    "inventory",
    "stock",
    "SELECT",
    "SELECT sku, on_hand FROM stock WHERE sku = ANY($1) FOR UPDATE",
    3.1,
);
static STOCK_UPDATE: Query = postgres(
    "UPDATE stock",
    "inventory",
    "stock",
    "UPDATE",
    "UPDATE stock SET reserved = reserved + $2, updated_at = now() WHERE sku = $1",
    3.6,
);
static CHARGES_INSERT: Query = postgres(
    "INSERT charges",
    "payments",
    "charges",
    "INSERT",
    "INSERT INTO charges (id, order_id, amount_minor, currency, state) VALUES ($1, $2, $3, $4, 'captured')",
    3.4,
);
static ORDERS_INSERT: Query = postgres(
    "INSERT orders",
    "orders",
    "orders",
    "INSERT",
    "INSERT INTO orders (id, user_id, currency, total_minor, placed_at) VALUES ($1, $2, $3, $4, now())",
    4.0,
);
static ORDERS_SELECT: Query = postgres(
    "SELECT orders",
    "orders",
    "orders",
    "SELECT",
    "SELECT id, total_minor, state, placed_at FROM orders WHERE user_id = $1 ORDER BY placed_at DESC LIMIT 20",
    5.5,
);
static SHIPMENTS_INSERT: Query = postgres(
    "INSERT shipments",
    "shipping",
    "shipments",
    "INSERT",
    "INSERT INTO shipments (id, order_id, carrier, tracking) VALUES ($1, $2, $3, $4)",
    3.2,
);
static SHIPMENTS_SELECT: Query = postgres(
    "SELECT shipments",
    "shipping",
    "shipments",
    "SELECT",
    "SELECT id, carrier, tracking, state FROM shipments WHERE order_id = ANY($1)",
    2.8,
);
static MAILS_INSERT: Query = postgres(
    "INSERT mails",
    "email",
    "mails",
    "INSERT",
    "INSERT INTO mails (id, order_id, template, sent_at) VALUES ($1, $2, $3, now())",
    2.9,
);

static PRODUCTS_SEARCH: Query = Query {
    target: Target::Elasticsearch { index: "products-v7" },
    name: "search products-v7",
    ms: 14.0,
    sigma: 0.3,
    fault: 0.001,
    exception: Exception {
        kind: "org.elasticsearch.client.ResponseException",
        message: "search_phase_execution_exception: 1 of 5 shards failed",
        http: 503,
        grpc: 14,
    },
    retried: true,
};
static BANK_AUTHORISE: Query = Query {
    target: Target::External { host: "api.acquirer.example", method: "POST", path: "/v2/authorisations" },
    name: "POST /v2/authorisations",
    ms: 38.0,
    sigma: 0.2,
    fault: 0.012,
    exception: BANK_RESET,
    retried: true,
};
static RELAY_SEND: Query = Query {
    target: Target::Smtp,
    name: "smtp send",
    ms: 45.0,
    sigma: 0.3,
    fault: 0.02,
    exception: Exception {
        kind: "smtplib.SMTPServerDisconnected",
        message: "Connection unexpectedly closed: 421 try again later",
        http: 503,
        grpc: 14,
    },
    retried: true,
};

const fn grpc(
    of: &'static str,
    name: &'static str,
    [service, method]: [&'static str; 2],
    self_ms: f64,
    sigma: f64,
    steps: &'static [Step],
) -> Operation {
    let protocol = Protocol::Grpc { service, method };
    Operation { service: of, name, protocol, self_ms, sigma, fault: 0.0003, exception: NEVER, steps }
}

const fn http(
    of: &'static str,
    name: &'static str,
    [method, route]: [&'static str; 2],
    self_ms: f64,
    sigma: f64,
    steps: &'static [Step],
) -> Operation {
    let protocol = Protocol::Http { method, route };
    Operation { service: of, name, protocol, self_ms, sigma, fault: 0.0003, exception: NEVER, steps }
}

pub(super) static VALIDATE: Operation = grpc(
    "auth",
    "auth.v1.Auth/ValidateToken",
    ["auth.v1.Auth", "ValidateToken"],
    0.9,
    0.2,
    &[Step::Query(&SESSION_GET)],
);

pub(super) static LIST_PRODUCTS: Operation = grpc(
    "catalog",
    "catalog.v1.Catalog/ListProducts",
    ["catalog.v1.Catalog", "ListProducts"],
    4.5,
    0.2,
    &[Step::Query(&PRODUCT_GET), Step::Query(&PRODUCTS_SELECT)],
);

pub(super) static GET_PRODUCT: Operation = grpc(
    "catalog",
    "catalog.v1.Catalog/GetProduct",
    ["catalog.v1.Catalog", "GetProduct"],
    1.8,
    0.2,
    &[Step::Query(&PRODUCT_GET), Sometimes(0.3, &Step::Query(&PRODUCT_SELECT))],
);

pub(super) static QUOTE_PRICE: Operation = grpc(
    "pricing",
    "pricing.v1.Pricing/Quote",
    ["pricing.v1.Pricing", "Quote"],
    1.4,
    0.2,
    &[Step::Query(&PRICE_GET), Internal("apply discounts", 1.1, 0.25)],
);

pub(super) static CHECK_STOCK: Operation = grpc(
    "inventory",
    "inventory.v1.Inventory/CheckStock",
    ["inventory.v1.Inventory", "CheckStock"],
    2.2,
    0.25,
    &[Step::Query(&STOCK_SELECT)],
);

static RESERVE: Operation = grpc(
    "inventory",
    "inventory.v1.Inventory/Reserve",
    ["inventory.v1.Inventory", "Reserve"],
    3.0,
    0.25,
    &[Step::Query(&STOCK_LOCK), Step::Query(&STOCK_UPDATE)],
);

pub(super) static RECOMMEND: Operation = Operation {
    service: "recommendation",
    name: "recommendation.v1.Recommendation/List",
    protocol: Protocol::Grpc { service: "recommendation.v1.Recommendation", method: "List" },
    self_ms: 6.0,
    sigma: 0.25,
    fault: 0.03,
    exception: Exception {
        kind: "ModelNotReadyError",
        message: "no embedding for this user yet; the nightly model is still loading",
        http: 503,
        grpc: 14,
    },
    steps: &[Step::Query(&PROFILE_GET), Internal("rank candidates", 7.5, 0.25), Call(&LIST_PRODUCTS, Propagate)],
};

pub(super) static SEARCH: Operation = http(
    "search",
    "GET /search",
    ["GET", "/search"],
    5.0,
    0.22,
    &[Internal("parse query", 0.7, 0.2), Step::Query(&PRODUCTS_SEARCH), Internal("score hits", 3.5, 0.25)],
);

pub(super) static GET_CART: Operation =
    grpc("cart", "cart.v1.Cart/GetCart", ["cart.v1.Cart", "GetCart"], 1.5, 0.2, &[Step::Query(&CART_GET)]);

pub(super) static ADD_ITEM: Operation = grpc(
    "cart",
    "cart.v1.Cart/AddItem",
    ["cart.v1.Cart", "AddItem"],
    2.0,
    0.2,
    &[Step::Query(&CART_GET), Step::Query(&CART_SET)],
);

static EMPTY_CART: Operation =
    grpc("cart", "cart.v1.Cart/EmptyCart", ["cart.v1.Cart", "EmptyCart"], 1.3, 0.2, &[Step::Query(&CART_DELETE)]);

static QUOTE_SHIPPING: Operation = Operation {
    service: "shipping",
    name: "POST /quote",
    protocol: Protocol::Http { method: "POST", route: "/quote" },
    self_ms: 4.0,
    sigma: 0.25,
    fault: 0.02,
    exception: Exception {
        kind: "CarrierUnavailable",
        message: "rate table of the carrier is being reloaded",
        http: 503,
        grpc: 14,
    },
    steps: &[Internal("rate carriers", 2.5, 0.2)],
};

static SHIP: Operation =
    http("shipping", "POST /ship", ["POST", "/ship"], 3.0, 0.22, &[Step::Query(&SHIPMENTS_INSERT)]);

pub(super) static TRACK: Operation = http(
    "shipping",
    "GET /shipments/{order}",
    ["GET", "/shipments/{order}"],
    2.2,
    0.22,
    &[Step::Query(&SHIPMENTS_SELECT)],
);

/// Where the demo's bad release strikes: nearly half of a checkout's time is spent in this operation itself.
static CHARGE: Operation = Operation {
    service: "payment",
    name: "POST /charge",
    protocol: Protocol::Http { method: "POST", route: "/charge" },
    self_ms: 52.0,
    sigma: 0.2,
    fault: 0.001,
    exception: Exception {
        kind: "TokenizationError",
        message: "card token expired before capture",
        http: 500,
        grpc: 13,
    },
    steps: &[Step::Query(&BANK_AUTHORISE), Step::Query(&CHARGES_INSERT)],
};

pub(super) static CHECKOUT: Operation = http(
    "checkout",
    "POST /checkout",
    ["POST", "/checkout"],
    7.0,
    0.2,
    &[
        Call(&GET_CART, Propagate),
        Parallel(&[
            EachItem(3, &Call(&GET_PRODUCT, Propagate)),
            Call(&QUOTE_PRICE, Propagate),
            Call(&QUOTE_SHIPPING, Retry),
        ]),
        Call(&RESERVE, Propagate),
        Call(&CHARGE, Propagate),
        Step::Query(&ORDERS_INSERT),
        Parallel(&[Call(&SHIP, Retry), Call(&EMPTY_CART, Ignore)]),
        Publish(&CONFIRM),
    ],
);

pub(super) static LIST_ORDERS: Operation =
    http("checkout", "GET /orders", ["GET", "/orders"], 3.0, 0.22, &[Step::Query(&ORDERS_SELECT)]);

static CONFIRM: Operation = Operation {
    service: "email",
    name: "process orders",
    protocol: Protocol::Kafka { topic: "orders" },
    self_ms: 3.5,
    sigma: 0.25,
    fault: 0.004,
    exception: Exception {
        kind: "jinja2.exceptions.UndefinedError",
        message: "'order.delivery' is undefined",
        http: 500,
        grpc: 13,
    },
    steps: &[Internal("render template", 6.0, 0.25), Step::Query(&RELAY_SEND), Step::Query(&MAILS_INSERT)],
};
