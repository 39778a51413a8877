const leasehold = require("leasehold");

void import("./lock.mjs").then(({ use }) => use(leasehold));
