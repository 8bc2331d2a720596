module kapok/tests/peers

go 1.19
