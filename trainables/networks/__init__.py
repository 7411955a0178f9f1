"""U-Net and U-REC as published, and the file of a trained network."""
