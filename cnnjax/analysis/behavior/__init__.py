"""How a network behaves: invariance, signals through depth, embeddings."""
