select leasehold_internal._insert_missing_rows();
