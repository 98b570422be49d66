def text(r): return ""
