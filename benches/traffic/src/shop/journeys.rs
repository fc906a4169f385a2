//! What users do, and how the gateway serves it.

use super::operations::{
    ADD_ITEM, CHECK_STOCK, CHECKOUT, GET_CART, GET_PRODUCT, LIST_ORDERS, LIST_PRODUCTS, QUOTE_PRICE, RECOMMEND, SEARCH,
    TRACK, VALIDATE,
};
use super::{Exception, OnFailure, Operation, Protocol, Step};
use OnFailure::{Ignore, Propagate, Retry};
use Step::{Call, EachItem, Internal, Parallel, Sometimes};

/// A journey: how often users take it, and where it enters the shop.
#[derive(Debug)]
pub struct Journey {
    /// Its name in `app.journey`.
    pub name: &'static str,
    /// Share of all journeys, in percent.
    pub percent: u32,
    /// The gateway's operation.
    pub entry: &'static Operation,
}

const fn page(
    name: &'static str,
    [method, route]: [&'static str; 2],
    self_ms: f64,
    steps: &'static [Step],
) -> Operation {
    Operation {
        service: "frontend",
        name,
        protocol: Protocol::Http { method, route },
        self_ms,
        sigma: 0.2,
        fault: 0.0003,
        exception: Exception {
            kind: "TypeError",
            message: "Cannot read properties of undefined (reading 'price')",
            http: 500,
            grpc: 13,
        },
        steps,
    }
}

static HOME: Operation = page(
    "GET /",
    ["GET", "/"],
    5.0,
    &[
        Call(&VALIDATE, Propagate),
        Parallel(&[Call(&LIST_PRODUCTS, Propagate), Call(&RECOMMEND, Ignore), Call(&GET_CART, Ignore)]),
        Internal("render home", 3.0, 0.2),
    ],
);
static PRODUCT: Operation = page(
    "GET /product/{id}",
    ["GET", "/product/{id}"],
    4.0,
    &[
        Call(&VALIDATE, Propagate),
        Call(&GET_PRODUCT, Propagate),
        Parallel(&[
            Call(&QUOTE_PRICE, Propagate),
            Call(&CHECK_STOCK, Ignore),
            Sometimes(0.8, &Call(&RECOMMEND, Ignore)),
            Call(&GET_CART, Ignore),
        ]),
        Internal("render product", 2.5, 0.2),
    ],
);
static FIND: Operation = page(
    "GET /search",
    ["GET", "/search"],
    4.0,
    &[
        Call(&VALIDATE, Propagate),
        Call(&SEARCH, Retry),
        Parallel(&[Call(&QUOTE_PRICE, Propagate), Call(&CHECK_STOCK, Ignore)]),
        Internal("render results", 2.8, 0.2),
    ],
);
static ADD_TO_CART: Operation = page(
    "POST /cart",
    ["POST", "/cart"],
    3.0,
    &[
        Call(&VALIDATE, Propagate),
        Parallel(&[Call(&GET_PRODUCT, Propagate), Call(&CHECK_STOCK, Propagate)]),
        Call(&ADD_ITEM, Propagate),
    ],
);
static BUY: Operation = page(
    "POST /checkout",
    ["POST", "/checkout"],
    6.0,
    &[Call(&VALIDATE, Propagate), Call(&CHECKOUT, Propagate), Internal("render receipt", 2.0, 0.2)],
);
static ACCOUNT: Operation = page(
    "GET /account",
    ["GET", "/account"],
    3.5,
    &[
        Call(&VALIDATE, Propagate),
        Call(&LIST_ORDERS, Propagate),
        EachItem(3, &Call(&TRACK, Ignore)),
        Internal("render account", 2.0, 0.2),
    ],
);

/// All journeys; their shares add up to 100.
pub static JOURNEYS: [Journey; 6] = [
    Journey { name: "home", percent: 24, entry: &HOME },
    Journey { name: "product", percent: 25, entry: &PRODUCT },
    Journey { name: "search", percent: 15, entry: &FIND },
    Journey { name: "add-to-cart", percent: 12, entry: &ADD_TO_CART },
    Journey { name: "checkout", percent: 20, entry: &BUY },
    Journey { name: "account", percent: 4, entry: &ACCOUNT },
];
