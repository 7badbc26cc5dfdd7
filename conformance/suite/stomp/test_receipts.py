"""What spec/stomp says of receipts. (Another author is writing this file at this moment: leave it to them.)"""
