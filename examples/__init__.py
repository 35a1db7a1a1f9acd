"""Programs that use attncore on real models; `attncore demo --backend` runs some of them."""
