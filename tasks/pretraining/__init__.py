"""What only the stage `pretrain` needs: what can be refused before it starts."""
