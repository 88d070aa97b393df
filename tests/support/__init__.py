"""What tests share: signals, fabricated tables, slow twins, places."""
