"""U-Net and U-REC as published."""
