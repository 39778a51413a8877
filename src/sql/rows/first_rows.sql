select leasehold_internal._fill();
